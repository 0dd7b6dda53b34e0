// Pictures of the page's data sets: small ones out of the sprite sheets, and what is known of them.
const data = JSON.parse(document.getElementById("data").textContent);

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

// Names of classes and files may run from right to left: each is set apart from what is around it.
function named(text, kind) {
  return element("bdi", text, kind);
}

function showThumb(span, setNumber, place) {
  const set = data.sets[setNumber];
  const width = set.w[place];
  span.setAttribute("role", "img");
  if (!width) {
    span.className = "placeholder";
    span.textContent = "no picture";
    span.setAttribute("aria-label", `no picture of ${set.paths[place]}`);
    return span;
  }
  const perSheet = set.columns * set.rows;
  const within = place % perSheet;
  const x = (within % set.columns) * set.tile;
  const y = Math.floor(within / set.columns) * set.tile;
  span.className = `thumb s${setNumber}-${Math.floor(place / perSheet)}`;
  span.style.width = `${width}px`;
  span.style.height = `${set.h[place]}px`;
  span.style.backgroundPosition = `-${x}px -${y}px`;
  span.setAttribute("aria-label", set.paths[place]);
  return span;
}

function thumb(setNumber, place) {
  return showThumb(element("span"), setNumber, place);
}

for (const span of document.querySelectorAll("span.thumb[data-picture]")) {
  showThumb(span, Number(span.dataset.set), Number(span.dataset.picture));
}
