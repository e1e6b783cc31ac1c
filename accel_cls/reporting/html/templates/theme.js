document.documentElement.classList.add("js");
try {
  const kept = localStorage.getItem("accel-cls-theme");
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
} catch (refused) { /* a page from a file may have no storage: then the system's choice stands */ }
