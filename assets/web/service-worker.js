// Keeps the page's files for use without a network, and adds the headers without which a browser gives no threads. They
// also forbid the page, and its worker, to reach any other address.

importScripts("contents.js"); // self.LECT: { shell, files: path -> { bytes, sha256 } }

const SCOPE = self.registration.scope;
const CACHE = `lect ${SCOPE}`;
const POLICY =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; media-src blob:; " +
  "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'";

// Under its hash, so that a newer export takes the place of what has changed and of nothing else.
const key = (path) => `${SCOPE}${path}?${LECT.files[path].sha256}`;

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(Promise.all(LECT.shell.map((path) => kept(path, event))));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(Promise.all([self.clients.claim(), tidy()]));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(SCOPE)) return;
  const path = decodeURIComponent(new URL(request.url).pathname.slice(new URL(SCOPE).pathname.length)) || "index.html";
  if (path === "contents.js") event.respondWith(isolated(contents()));
  else if (path in LECT.files) event.respondWith(kept(path, event).then(isolated));
});

// The list that this worker works by: a newer one's files are not kept yet.
function contents() {
  return new Response(`self.LECT = ${JSON.stringify(LECT)};`, { headers: { "Content-Type": "text/javascript" } });
}

async function kept(path, event) {
  const cache = await caches.open(CACHE);
  const found = await cache.match(key(path));
  if (found) return found;
  const answer = await fetch(SCOPE + path, { cache: "no-cache" });
  // Not awaited, so that the page sees its bytes come; and a full disk must not end the page.
  if (answer.ok) event.waitUntil(cache.put(key(path), answer.clone()).catch(() => {}));
  return answer;
}

async function tidy() {
  const cache = await caches.open(CACHE), known = new Set(Object.keys(LECT.files).map(key));
  const stale = (await cache.keys()).filter(({ url }) => !known.has(url));
  await Promise.all(stale.map((request) => cache.delete(request)));
}

function isolated(answer) {
  const headers = new Headers(answer.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Content-Security-Policy", POLICY);
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
}
