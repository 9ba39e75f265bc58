'use strict';

const answer = document.getElementById('answer');
const form = document.getElementById('setup');

function tell(text, bad) {
  answer.textContent = text;
  answer.className = bad ? 'bad' : '';
}
const token = new URLSearchParams(location.hash.slice(1)).get('token') || '';
history.replaceState(null, '', '/setup'); // the token does not stay in the history

if (!token) {
  form.hidden = true;
  document.getElementById('about').hidden = true;
  tell('The link is not complete. Open the whole link that the console printed at its start; when it is lost, start the console again.', true);
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  tell('One moment …', false);
  try {
    const response = await fetch('/api/v1/setup', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ token, name: document.getElementById('name').value, password: document.getElementById('password').value }),
    });
    if (response.ok) {
      location.replace('/');
      return;
    }
    const problem = await response.json();
    tell([problem.detail, problem.hint, ...(problem.errors || [])].filter(Boolean).join('. '), true);
  } catch (error) {
    tell('No answer: ' + error.message, true);
  }
});
