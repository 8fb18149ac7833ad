const line = document.querySelector("#status");
try {
  const answer = await fetch("/api/status/", { headers: { Accept: "application/json" } });
  const { open_tasks: open } = await answer.json();
  line.textContent = answer.ok ? `Up, with ${open} open tasks.` : `The service answered ${answer.status}.`;
} catch {
  line.textContent = "The service does not answer.";
}
