// The pictures behind a cell of a confusion matrix.
const AT_ONCE = 60;
const dialog = document.getElementById("pictures");
const list = dialog.querySelector(".pictures");
const more = dialog.querySelector(".more");
let opener = null;
let waiting = [];

function picturesOf(run, given, called) {
  const places = [];
  for (let i = 0; i < run.picture.length; i += 1) {
    if (run.given[i] === given && run.called[i] === called) places.push(i);
  }
  return places.sort((a, b) => run.p[b] - run.p[a]);
}

function line(word, name, probability) {
  const made = element("span", `${word} `, "verdict");
  made.append(named(name), element("span", ` ${probability.toFixed(3)}`, "p"));
  return made;
}

function item(run, i) {
  const place = run.picture[i];
  const made = element("li");
  const text = element("div");
  text.append(
    line("called", run.classes[run.called[i]], run.p[i]),
    line("given", run.classes[run.given[i]], run.pGiven[i]),
    named(data.sets[run.set].paths[place], "path"),
  );
  made.append(thumb(run.set, place), text);
  return made;
}

function showMore(run) {
  list.append(...waiting.splice(0, AT_ONCE).map((i) => item(run, i)));
  more.hidden = waiting.length === 0;
}

function open(button) {
  const run = data.runs[Number(button.dataset.run)];
  const given = Number(button.dataset.given);
  const called = Number(button.dataset.called);
  const count = Number(button.dataset.count);
  opener = button;
  waiting = picturesOf(run, given, called);
  const title = document.getElementById("pictures-title");
  title.replaceChildren(
    "Given ", named(run.classes[given]), ", called ", named(run.classes[called]), `: ${count}`,
  );
  const there = waiting.length === count ? "" : `${waiting.length} of ${count} are in this file. `;
  document.getElementById("pictures-note").textContent = `${there}The surest come first.`;
  list.replaceChildren();
  more.onclick = () => showMore(run);
  showMore(run);
  dialog.showModal();
  dialog.scrollTop = 0;
  title.focus();
}

for (const button of document.querySelectorAll("button.cell")) {
  button.addEventListener("click", () => open(button));
}
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
dialog.addEventListener("close", () => opener?.focus());
