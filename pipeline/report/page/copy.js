// Commands into the clipboard. A page from disk may not use the modern way everywhere.
function copyOldWay(text) {
  const area = element("textarea", undefined, "out");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

async function copy(button) {
  const text = button.parentElement.querySelector("code").textContent;
  let done = copyOldWay(text);
  if (!done && navigator.clipboard) {
    done = await navigator.clipboard.writeText(text).then(() => true, () => false);
  }
  button.textContent = done ? "Copied" : "Select and copy";
  document.getElementById("said").textContent = done ? "copied" : "could not be copied";
  button.focus();
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", () => copy(button));
}
