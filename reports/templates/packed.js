"use strict";
// What is packed into the page (logs, requests) is unpacked once, when it is first asked for.
const unpacked = new WeakMap();

async function unpack(article) {
  if (!unpacked.has(article)) unpacked.set(article, inflate(article.querySelector(".packed").textContent.trim()));
  return unpacked.get(article);
}

async function inflate(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function made(tag, text, name) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (name) element.className = name;
  return element;
}
