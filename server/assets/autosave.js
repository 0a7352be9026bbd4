// Saves a step of an application while it is written, by the same form that its buttons send. Without scripts the buttons do it.
"use strict";

const form = document.querySelector("form[data-autosave]");
const told = document.getElementById("saved");
const trouble = document.getElementById("not-saved");
/** After the last key, in milliseconds. */
const PAUSE = 1500;
/** After a failure, in milliseconds. */
const AGAIN = 15000;

let timer = 0;
let under_way = false;
let changed = false;

/** What the form would send with `_go=keep`: files, and what is to be removed, wait for a button. */
function letter() {
  const sent = new FormData(form);
  for (const [name, value] of [...sent.entries()]) {
    if (value instanceof File || name === "_remove") sent.delete(name);
  }
  sent.set("_go", "keep");
  return sent;
}

/** What went wrong; nothing, when nothing did. */
function say(words) {
  trouble.textContent = words;
}

function later(pause) {
  clearTimeout(timer);
  timer = setTimeout(keep, pause);
}

async function keep() {
  if (under_way || !changed) return;
  under_way = true;
  changed = false;
  try {
    const answer = await fetch(form.action, { method: "POST", body: letter(), redirect: "error", referrerPolicy: "same-origin" });
    if (answer.ok) {
      const saved = await answer.json();
      form.elements._version.value = saved.version;
      form.elements._seen.value = saved.seen;
      told.dateTime = saved.iso;
      told.textContent = saved.words;
      say("");
    } else if (answer.status === 409) {
      say("Somebody else has saved this step. Press a button: you are shown both versions and choose.");
      return;
    } else if (answer.status === 413) {
      say("This is too long to be saved. What was saved before is still there.");
    } else {
      throw new Error(String(answer.status));
    }
  } catch {
    // Offline, signed out, or the server is away: what was typed stays here, and is tried again.
    changed = true;
    say("Not saved just now. It is tried again; your text is still here.");
    later(AGAIN);
  } finally {
    under_way = false;
  }
  if (changed && trouble.textContent === "") later(PAUSE);
}

if (form) {
  form.addEventListener("input", (event) => {
    if (event.target.type === "file" || event.target.name === "_remove") return;
    changed = true;
    later(PAUSE);
  });
  form.addEventListener("submit", () => {
    clearTimeout(timer);
    changed = false;
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") keep();
  });
}
