// Every text of a picture, a class or a file goes into the page as text, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
const stage = at("stage");
const find = at("find");
const DROP = 0; // in the log, where a class stands as its name
const KEY = `label-${data.key}`;
const names = data.classes.map(([name]) => name);
const shown = new Map(data.classes);
let log = []; // steps [picture, name or DROP], the oldest first; the last of a picture counts
let decided = new Map();
let place = 0;

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function say(text) {
  at("said").textContent = text;
}

// What is kept in the browser

function isName(value) {
  return typeof value === "string" && (names.includes(value) || (data.grows && isNew(value)));
}

function isNew(text) {
  const said = text.toLowerCase(); // names that differ in case alone are refused where they are read
  return text !== "" && text === text.trim() && said !== "drop" && text.length <= 200
    && !names.some(name => name.toLowerCase() === said);
}

function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    const good = step => Array.isArray(step) && step.length === 2
      && Number.isInteger(step[0]) && step[0] in data.cards
      && (step[1] === DROP || isName(step[1]));
    log = Array.isArray(kept) ? kept.filter(good) : [];
  } catch (error) {
    if (!(error instanceof SyntaxError)) noMemory();
  }
  for (const [, value] of log) addName(value);
}

function keep() {
  decided = new Map(log);
  try {
    localStorage.setItem(KEY, JSON.stringify(log));
  } catch {
    noMemory();
  }
}

function noMemory() {
  at("trouble").textContent = "This browser keeps nothing for files: save before you close or reload the page.";
  at("trouble").hidden = false;
}

// Classes: a digit where there is one, and letters for all

function digitsOf() {
  const keys = new Map(names.filter(name => /^[0-9]$/.test(name)).map(name => [name, name]));
  const free = [..."123456789"].filter(digit => !keys.has(digit));
  for (const name of names) {
    if (!/^[0-9]$/.test(name) && free.length) keys.set(free.shift(), name);
  }
  return keys;
}

function addName(name) {
  if (name === DROP || names.includes(name)) return;
  names.push(name);
  shown.set(name, name);
}

function drawNames() {
  const keys = new Map([...digitsOf()].map(([digit, name]) => [name, digit]));
  at("classes").replaceChildren(...names.map(name => {
    const button = element("button");
    button.type = "button";
    button.dataset.name = name;
    button.append(element("bdi", shown.get(name)));
    if (keys.has(name)) button.append(" ", element("kbd", keys.get(name)));
    button.addEventListener("click", () => decide(name));
    return button;
  }));
  search();
}

function search() {
  const text = find.value.trim().toLowerCase();
  let best = null;
  let rank = 3;
  for (const button of at("classes").children) {
    const name = button.dataset.name.toLowerCase();
    const fits = name === text ? 0 : name.startsWith(text) ? 1 : name.includes(text) ? 2 : 3;
    button.hidden = fits === 3;
    button.classList.remove("best");
    if (text && fits < rank) [best, rank] = [button, fits];
  }
  best?.classList.add("best");
  const fresh = find.value.trim();
  at("new").hidden = !data.grows || !isNew(fresh);
  at("new").replaceChildren("New class ", element("bdi", fresh), " ", element("kbd", "Shift Enter"));
  if (text) say(best ? `Enter: ${best.textContent}` : at("new").hidden ? "no such class" : at("new").textContent);
  return best?.dataset.name ?? (at("new").hidden ? null : fresh);
}

// Deciding

function decide(value) {
  addName(value);
  log.push([place, value]);
  keep();
  find.value = "";
  drawNames();
  const was = place;
  const rest = [...data.cards.keys()];
  const next = [...rest.slice(place + 1), ...rest.slice(0, place)].find(one => !decided.has(one));
  go(next ?? place);
  drawTile(was);
  say(`${value === DROP ? "dropped" : value}. ${at("count").textContent}. ${at("what").textContent}`);
}

function undo() {
  const step = log.pop();
  if (!step) return say("nothing to undo");
  keep();
  go(step[0]);
  drawTile(step[0]);
  say(`undone. ${at("count").textContent}`);
}

function keepLabel() {
  const card = data.cards[place];
  const value = card.label ?? (card.ours ? null : card.looks);
  if (value === null) say("it has no one label: choose a class");
  else decide(names[value]);
}

function take() {
  const looks = data.cards[place].looks;
  if (looks === null) say("nothing says what it looks like: choose a class");
  else decide(names[looks]);
}

// Showing

function textOf(value) {
  return value === DROP ? "dropped" : shown.get(value);
}

function image(number, made) {
  const [source, reason] = data.images[number];
  if (!source) return element("span", `no picture: ${reason}`, "placeholder");
  made.src = source;
  made.alt = "";
  return made;
}

function drawTile(number) {
  const button = at(`tile-${number}`);
  const value = decided.get(number);
  const card = data.cards[number];
  const label = value === undefined ? (card.label === null ? "?" : shown.get(names[card.label])) : `✓ ${textOf(value)}`;
  button.className = value === undefined ? "" : "decided";
  button.lastChild.textContent = label;
  button.setAttribute("aria-label", `${card.path[1]}: ${label}`);
}

function drawTiles() {
  data.sections.forEach((title, number) => {
    const mine = [...data.cards.keys()].filter(one => data.cards[one].section === number);
    if (!mine.length) return;
    const list = element("ul", undefined, "tiles");
    for (const one of mine) {
      const button = element("button");
      button.type = "button";
      button.id = `tile-${one}`;
      button.append(image(one, new Image()), element("bdi"));
      button.addEventListener("click", () => go(one));
      const item = element("li");
      item.append(button);
      list.append(item);
    }
    at("lists").append(element("h2", `${title}: ${mine.length}`), list);
    mine.forEach(drawTile);
  });
}

function go(number) {
  at(`tile-${place}`).removeAttribute("aria-current");
  place = Math.max(0, Math.min(number, data.cards.length - 1));
  at(`tile-${place}`).setAttribute("aria-current", "true");
  const card = data.cards[place];
  const [source, reason] = data.images[place];
  at("picture").hidden = !source;
  at("picture").src = source ?? "data:,";
  at("picture").alt = card.path[1];
  at("gone").hidden = Boolean(source);
  at("gone").textContent = `no picture: ${reason}`;
  at("path").textContent = card.path[1];
  at("what").textContent = `${data.sections[card.section]}, picture ${place + 1} of ${data.cards.length}`;
  at("why").textContent = card.why;
  const value = decided.get(place);
  at("is").textContent = value === undefined ? "" : `You said: ${textOf(value)}`;
  const labelled = card.label ?? (card.ours ? null : card.looks);
  action("keep", labelled === null ? null : `Keep ${shown.get(names[labelled])}`, "Enter");
  action("take", card.looks === null || card.looks === labelled ? null : `Take ${shown.get(names[card.looks])}`, "Space");
  const like = card.group === null ? [] : [...data.cards.keys()].filter(one => one !== place && data.cards[one].group === card.group);
  at("like").hidden = !like.length;
  at("like").replaceChildren(...like.map(one => {
    const button = element("button");
    button.type = "button";
    button.append(image(one, new Image()));
    button.setAttribute("aria-label", `alike: ${data.cards[one].path[1]}`);
    button.addEventListener("click", () => go(one));
    return button;
  }));
  for (const button of at("classes").children) {
    button.setAttribute("aria-pressed", String(button.dataset.name === value));
  }
  at("progress").max = data.cards.length;
  at("progress").value = decided.size;
  const whole = decided.size === data.cards.length;
  at("count").textContent = whole ? `all ${decided.size} decided: save them` : `${decided.size} of ${data.cards.length} decided`;
  at("undo").disabled = !log.length;
  stage.focus({ preventScroll: true });
}

function action(id, text, key) {
  at(id).hidden = text === null;
  at(id).replaceChildren(text ?? "", " ", element("kbd", key));
}

// Saving: the table that --corrections reads; no spreadsheet runs what is in it

function cell(text) {
  const safe = /^'*[=+\-@\t\r\n＝＋－＠]/u.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function rows() {
  const made = data.earlier.map(row => [...row]);
  for (const [number, value] of [...decided].sort((one, other) => one[0] - other[0])) {
    const card = data.cards[number];
    // What no data set has needs no word to be left out.
    if (value !== DROP || card.ours) made.push([card.path[0], value === DROP ? "drop" : value, card.digest]);
  }
  return made;
}

function save() {
  const lines = [["path", "label", "digest"], ...rows()].map(row => row.map(cell).join(","));
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv" }));
  link.download = data.file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  say(`${data.file}: ${lines.length - 1} rows saved`);
}

// Keys

const ACTIONS = {
  Enter: keepLabel, " ": take, Delete: () => decide(DROP), Backspace: undo,
  ArrowLeft: () => go(place - 1), ArrowRight: () => go(place + 1),
  ArrowUp: () => go(place - 1), ArrowDown: () => go(place + 1),
  Home: () => go(0), End: () => go(data.cards.length - 1),
};

function typed(event) {
  if (event.isComposing || event.altKey) return;
  if (event.ctrlKey || event.metaKey) {
    if (event.key.toLowerCase() === "s") { event.preventDefault(); save(); }
    else if (event.key.toLowerCase() === "z" && event.target !== find) { event.preventDefault(); undo(); }
    return;
  }
  if (event.target === find) return inField(event);
  if (event.target.closest("button, a") && (event.key === "Enter" || event.key === " ")) return;
  const name = digitsOf().get(event.key);
  if (name !== undefined) { event.preventDefault(); decide(name); }
  else if (Object.hasOwn(ACTIONS, event.key)) { event.preventDefault(); ACTIONS[event.key](); }
  else if (event.key.length === 1 && !/[0-9]/.test(event.key)) find.focus(); // the letter goes there
  else if (/^[0-9]$/.test(event.key)) say(`no class has the key ${event.key}`);
}

function inField(event) {
  if (event.key === "Enter") {
    event.preventDefault();
    const found = find.value.trim() ? search() : null;
    const name = event.shiftKey && !at("new").hidden ? find.value.trim() : found;
    if (name !== null) decide(name);
    else say(find.value.trim() ? "no such class" : "type the name of a class");
  } else if (event.key === "Escape") {
    find.value = "";
    search();
    stage.focus();
  }
}

load();
decided = new Map(log);
drawNames();
drawTiles();
find.addEventListener("input", search);
document.addEventListener("keydown", typed);
for (const [id, act] of [["keep", keepLabel], ["take", take], ["drop", () => decide(DROP)], ["undo", undo],
  ["back", () => go(place - 1)], ["on", () => go(place + 1)], ["save", save], ["new", () => decide(find.value.trim())]]) {
  at(id).addEventListener("click", act);
}
go([...data.cards.keys()].find(one => !decided.has(one)) ?? 0);
