// Filter, keys, logs, theme, copy. All text from a run enters the page as text, never as markup.
const filter = document.getElementById("filter");
const steps = () => [...document.querySelectorAll(".step > details > summary")].filter((s) => s.offsetParent);

function own(step) {
  return [...step.children].filter((c) => c.tagName === "DETAILS").map((c) => c.textContent).join(" ").toLowerCase();
}

function applyFilter() {
  const wanted = filter.value.trim().toLowerCase();
  for (const step of document.querySelectorAll(".step")) {
    step.hidden = Boolean(wanted) && !step.textContent.toLowerCase().includes(wanted) && !ancestors(step).some((a) => own(a).includes(wanted));
  }
  for (const row of document.querySelectorAll(".events .line")) row.hidden = Boolean(wanted) && !row.textContent.toLowerCase().includes(wanted);
  document.querySelectorAll(".log[open]").forEach(showLog);
}

function ancestors(step) {
  const found = [];
  for (let at = step.parentElement.closest(".step"); at; at = at.parentElement.closest(".step")) found.push(at);
  return found;
}

function go(way, wanted = () => true) {
  const all = steps();
  const focused = document.activeElement?.closest?.(".step > details > summary") ?? null;
  let at = focused ? all.indexOf(focused) : way > 0 ? -1 : all.length;
  do at += way; while (at >= 0 && at < all.length && !wanted(all[at].closest(".step")));
  if (!all[at]) return;
  document.querySelector(".step.here")?.classList.remove("here");
  all[at].closest(".step").classList.add("here");
  all[at].focus({ preventScroll: true });
  all[at].scrollIntoView({ block: "center" });
}

const KEYS = {
  j: () => go(1), ArrowDown: () => go(1), k: () => go(-1), ArrowUp: () => go(-1),
  n: () => go(1, (step) => step.matches(".is-fail, .is-unknown, .is-not-run")),
  "/": () => { filter.focus(); filter.select(); },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const act = KEYS[event.key];
  if (event.target === filter) {
    if (event.key === "Escape") { filter.value = ""; applyFilter(); filter.blur(); }
  } else if (act && !event.target.closest(".timeline, .log pre, input, textarea")) {
    event.preventDefault();
    act();
  }
});
filter.addEventListener("input", applyFilter);

async function showLog(log) {
  const pre = log.querySelector("pre");
  const data = (await unpack(log.closest("article"))).logs[Number(log.dataset.log)];
  const wanted = filter.value.trim().toLowerCase();
  pre.replaceChildren();
  if (data.focus.length) addLines(pre, `around the first bad observation, from line ${data.focus_line}`, data.focus, wanted);
  addLines(pre, data.focus.length ? "its end" : "", data.tail, wanted);
}

function addLines(pre, title, lines, wanted) {
  if (title) pre.append(made("b", title));
  for (const line of lines) {
    if (wanted && !line.toLowerCase().includes(wanted)) continue;
    const tone = /\b(ERROR|CRITICAL|FATAL|Traceback)\b|"error"/.test(line) ? "err" : /\bWARN(ING)?\b|"warning"/.test(line) ? "warn" : "";
    pre.append(made("span", line + "\n", tone));
  }
}

document.querySelectorAll(".log").forEach((log) => log.addEventListener("toggle", () => { if (log.open) showLog(log); }));
document.querySelectorAll(".copy").forEach((button) => button.addEventListener("click", async () => {
  try { await navigator.clipboard.writeText(button.dataset.copy); button.textContent = "copied"; } catch { getSelection().selectAllChildren(button.previousElementSibling); }
}));

document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

function reveal() {
  const step = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (step?.matches?.(".step")) step.querySelector("details").open = true;
}
addEventListener("hashchange", reveal);
reveal();
addEventListener("beforeprint", () => document.querySelectorAll(".step.is-fail > details, .step.is-unknown > details").forEach((d) => { d.open = true; }));
