// Runs before the first paint, so that a chosen theme does not flash the other.
try {
  const theme = localStorage.getItem("belfry.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; the system's preference applies then.
}
