'use strict';

const answer = document.getElementById('answer');
const token = new URLSearchParams(location.hash.slice(1)).get('token') || '';
history.replaceState(null, '', '/setup'); // the token does not stay in the history

if (!token) answer.textContent = 'The link is not complete: open the whole link that the console printed.';

document.getElementById('setup').addEventListener('submit', async (event) => {
  event.preventDefault();
  answer.textContent = 'One moment …';
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
    answer.textContent = problem.detail + (problem.hint ? ' ' + problem.hint : '');
  } catch (error) {
    answer.textContent = 'No answer: ' + error.message;
  }
});
