// Light, dark, or what the system says. A plain script, so that a chosen theme is there before the first paint.
(() => {
  const modes = ['system', 'light', 'dark'];
  let mode = 'system';
  try {
    mode = localStorage.getItem('theme') ?? mode;
  } catch {
    // Without storage the choice lasts as long as the page.
  }

  function apply(next) {
    mode = modes.includes(next) ? next : 'system';
    if (mode === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = mode;
    const button = document.getElementById('theme');
    if (button) {
      button.textContent = { system: 'Auto', light: 'Light', dark: 'Dark' }[mode];
      button.setAttribute('aria-label', `Theme: ${mode}. Change it`);
      button.title = 'Light, dark, or as the system has it';
    }
  }

  apply(mode);
  document.addEventListener('DOMContentLoaded', () => {
    apply(mode);
    document.getElementById('theme').addEventListener('click', () => {
      apply(modes[(modes.indexOf(mode) + 1) % modes.length]);
      try {
        localStorage.setItem('theme', mode);
      } catch {
        // As above.
      }
    });
  });
})();
