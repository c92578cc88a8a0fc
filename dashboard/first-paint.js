// A plain script in the head: the chosen theme must be there before the first paint, and a module runs too late.
try {
  const chosen = localStorage.getItem("fleetmedic-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // A browser that keeps nothing for this page: the system's theme then.
}
