// Keeps the page fresh. The server renders everything: this fetches the page anew when a refusal happens, and puts in
// what has changed. Nothing that a stranger sent is ever made into markup here.
"use strict";

const MOST_ROWS = 500;
const live = document.getElementById("live");
const pause = document.getElementById("pause");
const filters = document.getElementById("filters");
// The last event that came; a number and the start of the proxy that gave it.
let last = document.body.dataset.last;
let paused = false;
let wanted = false;
let running = false;

function say(state, text) {
  live.dataset.state = state;
  live.textContent = text;
  live.hidden = false;
}

// The query that the filters stand for, without what is empty.
function query() {
  const pairs = [...new FormData(filters)].filter(([, value]) => value !== "");
  return pairs.length ? "?" + new URLSearchParams(pairs) : "";
}

function replace(fresh, selector) {
  const [old, now] = [document.querySelector(selector), fresh.querySelector(selector)];
  if (old && now && old.innerHTML !== now.innerHTML) old.replaceChildren(...now.childNodes);
}

// Puts the list in order of the fresh one; rows that are there already stay as they are, open or not.
function merge(fresh, anew) {
  const section = document.getElementById("refusals");
  const list = document.getElementById("list");
  for (const note of section.querySelectorAll(":scope > .empty, :scope > .wrong")) note.remove();
  for (const note of fresh.querySelectorAll("#refusals > .empty, #refusals > .wrong")) list.before(note);
  if (anew) list.replaceChildren();
  const rows = [...fresh.querySelectorAll("#list > li")];
  for (const row of rows.reverse()) {
    if (document.getElementById(row.id)) continue;
    if (!anew) row.classList.add("new");
    list.prepend(row);
  }
  while (list.children.length > MOST_ROWS) list.lastElementChild.remove();
}

async function refresh(anew) {
  const answer = await fetch("/" + location.search, { cache: "no-store" });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  replace(fresh, "#now");
  replace(fresh, "#tokens");
  replace(fresh, "#limits");
  replace(fresh, "#reload");
  merge(fresh, anew);
  ages();
}

// At most one fetch a second, whatever happens.
async function update() {
  wanted = true;
  if (running || paused) return;
  running = true;
  while (wanted && !paused) {
    wanted = false;
    try {
      await refresh(false);
    } catch {
      say("lost", "reconnecting");
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
  running = false;
}

function follow() {
  const events = new EventSource("/api/refusals/stream?last=" + last);
  events.addEventListener("open", () => {
    if (!paused) say("live", "live");
    update();
  });
  for (const name of ["refusal", "gap", "restart"]) {
    events.addEventListener(name, (event) => {
      last = event.lastEventId || last;
      update();
    });
  }
  events.addEventListener("error", () => {
    say("lost", "reconnecting");
    // The browser comes again by itself, unless it was refused.
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, 3000);
  });
}

function setPaused(now) {
  paused = now;
  pause.textContent = paused ? "Go on" : "Pause";
  say(paused ? "paused" : "live", paused ? "paused" : "live");
  if (!paused) update();
}

// "3 min ago" where a time says how long ago it was; the moment itself in the title.
function ages() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    time.title = at.toLocaleString();
    if (time.dataset.ago === undefined) continue;
    const seconds = Math.max(0, Math.round((Date.now() - at) / 1000));
    const [amount, unit] =
      seconds < 60 ? [seconds, "s"] : seconds < 3600 ? [Math.floor(seconds / 60), "min"]
      : seconds < 172800 ? [Math.floor(seconds / 3600), "h"] : [Math.floor(seconds / 86400), "d"];
    const text = `${amount} ${unit} ago`;
    if (time.textContent !== text) time.textContent = text;
  }
}

function choose() {
  history.replaceState(null, "", "/" + query());
  refresh(true).catch(() => say("lost", "reconnecting"));
}

let typing;
filters.addEventListener("submit", (event) => {
  event.preventDefault();
  choose();
});
filters.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(choose, 250);
});
filters.querySelector("a").addEventListener("click", (event) => {
  event.preventDefault();
  for (const field of filters.elements) if (field.name) field.value = "";
  choose();
});
pause.addEventListener("click", () => setPaused(!paused));

function move(step) {
  const rows = [...document.querySelectorAll("#list > li > details > summary")];
  const at = rows.indexOf(document.activeElement);
  const next = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + step))];
  if (next) next.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const field = event.target.closest("input, select");
  if (event.key === "Escape") {
    if (field) field.blur();
    else for (const open of document.querySelectorAll("#list > li > details[open]")) open.open = false;
  } else if (field) {
    return;
  } else if (event.key === "j") {
    move(1);
  } else if (event.key === "k") {
    move(-1);
  } else if (event.key === "p") {
    setPaused(!paused);
  } else if (event.key === "/") {
    event.preventDefault();
    filters.querySelector("input[name=path]").focus();
  }
});

pause.hidden = false;
document.getElementById("keys").hidden = false;
ages();
setInterval(ages, 1000);
// Minutes end without a refusal, too.
setInterval(update, 60000);
follow();
