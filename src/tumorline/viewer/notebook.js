// The viewer in a notebook: one case, or several to step through.
import { Viewer } from "./viewer.js";

const cases = JSON.parse(document.getElementById("cases").textContent);
const keys = document, onStep = cases.length > 1 ? (by) => open(at + by) : undefined;
const viewer = new Viewer(document.getElementById("viewer"), { keys, onStep });
let at = 0;

function open(number) {
  if (!cases[number]) return;
  at = number;
  viewer.show(cases[number]).catch((error) => viewer.clear(error.message));
}

open(0);
