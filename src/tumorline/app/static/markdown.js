// A model card as a page: the Markdown that Tumorline writes. Texts only ever become text nodes.

const make = (name, ...children) => {
  const element = document.createElement(name);
  element.append(...children);
  return element;
};

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };
const plain = (text) => text.replace(/&(amp|lt|gt);/g, (entity) => ENTITIES[entity]).replace(/\\([|(])/g, "$1");

/** Bold and code within a line. */
function inline(text) {
  return text.split(/(\*\*[^*]+\*\*|`[^`]+`)/).filter(Boolean).map((part) => {
    if (part.startsWith("**") && part.length > 4) return make("b", plain(part.slice(2, -2)));
    if (part.startsWith("`") && part.length > 2) return make("code", plain(part.slice(1, -1)));
    return plain(part);
  });
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());

function table(lines) {
  const [head, , ...rows] = lines.map(cells);
  const made = make("table", make("tr", ...head.map((cell) => make("th", ...inline(cell)))));
  made.append(...rows.map((row) => make("tr", ...row.map((cell) => make("td", ...inline(cell))))));
  const box = make("div", made);
  box.className = "table";
  return box;
}

/** Elements for a text in Markdown: headings, paragraphs, lists, tables and code. */
export function renderMarkdown(text) {
  const lines = text.split("\n"), made = [];
  const take = (goesOn) => {
    const taken = [];
    while (lines.length && goesOn(lines[0])) taken.push(lines.shift());
    return taken;
  };
  while (lines.length) {
    const line = lines[0], heading = line.match(/^(#{1,4}) (.+)/);
    if (!line.trim()) {
      lines.shift();
    } else if (line.startsWith("```")) {
      lines.shift();
      made.push(make("pre", take((next) => !next.startsWith("```")).join("\n")));
      lines.shift();
    } else if (heading) {
      lines.shift();
      made.push(make(`h${heading[1].length}`, ...inline(heading[2])));
    } else if (line.startsWith("|")) {
      made.push(table(take((next) => next.startsWith("|"))));
    } else if (line.startsWith("- ")) {
      const items = [];
      for (const next of take((next) => /^(- |  \S)/.test(next))) {
        if (next.startsWith("- ")) items.push(next.slice(2));
        else items[items.length - 1] += ` ${next.trim()}`;
      }
      made.push(make("ul", ...items.map((item) => make("li", ...inline(item)))));
    } else {
      made.push(make("p", ...inline(take((next) => next.trim() && !/^(#|\||- |```)/.test(next)).join(" "))));
    }
  }
  return made;
}
