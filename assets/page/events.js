// No answer of the server is lost. The server ends the stream of answers when nothing is pending, and Gradio's client
// then closes it even if another event was accepted while that end was under way: its answer would wait for the next
// click. So the stream goes on here, by a new request, as long as an accepted event has no answer; and it does not end
// while the server has yet to say whether it accepts one.

{
  const plainFetch = window.fetch;
  const unanswered = new Set(), early = new Set(); // early: answered before the number of the event was known
  const underway = new Set(); // requests that send an event

  function accepted({ event_id: id }) {
    if (id && !early.delete(id)) unanswered.add(id);
  }

  async function joined(resource, options) {
    const answer = await plainFetch(resource, options);
    if (answer.ok) accepted(await answer.clone().json());
    return answer;
  }

  function passed({ msg, event_id: id }) {
    if (msg === "process_completed" && !unanswered.delete(id)) early.add(id);
  }

  async function* parts(stream) {
    const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const whole = (rest + read.value).split("\n\n");
      rest = whole.pop();
      yield* whole;
    }
  }

  async function* answers(request, stream) {
    let end = "";
    do {
      if (end) stream = await plainFetch(request.clone());
      if (!stream.ok) break;
      for await (const part of parts(stream)) {
        const message = JSON.parse(part.replace(/^data: /, ""));
        passed(message);
        if (message.msg === "close_stream") end = part;
        else yield part;
      }
      await Promise.allSettled(underway);
    } while (end && unanswered.size);
    if (end) yield end;
  }

  function lasting(request, stream) {
    const lines = answers(request, stream), encoder = new TextEncoder();
    const pull = async (controller) => {
      const { value, done } = await lines.next();
      done ? controller.close() : controller.enqueue(encoder.encode(`${value}\n\n`));
    };
    return new Response(new ReadableStream({ pull }), { headers: stream.headers });
  }

  window.fetch = async (resource, options) => {
    const { pathname } = new URL(resource.url ?? resource, location.href);
    if (!/\/queue\/(data|join)$/.test(pathname)) return plainFetch(resource, options);
    if (pathname.endsWith("join")) {
      const sent = joined(resource, options);
      underway.add(sent);
      return sent.finally(() => underway.delete(sent));
    }
    const request = new Request(resource, options);
    const stream = await plainFetch(request.clone());
    return stream.ok ? lasting(request, stream) : stream;
  };
}
