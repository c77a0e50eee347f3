// Airflow keeps the theme that its user chose under this key; without one the browser's counts.
const chosen = window.localStorage.getItem("theme");
if (chosen === "light" || chosen === "dark") {
  document.documentElement.dataset.theme = chosen;
}
