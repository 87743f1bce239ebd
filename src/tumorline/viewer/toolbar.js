// What every page has: light or dark, and print.
function theme() {
  const { dataset } = document.documentElement;
  return dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}
document.querySelector("[data-action=theme]").addEventListener("click", () => {
  document.documentElement.dataset.theme = theme() === "dark" ? "light" : "dark";
});
document.querySelector("[data-action=print]").addEventListener("click", () => print());
