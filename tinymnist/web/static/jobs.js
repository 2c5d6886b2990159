// A job of the server that belongs to this page: its events, as they come.
import { api } from "./api.js";
import { say } from "./dom.js";

export async function follow(onEvent) {
  let next = 0;
  for (;;) {
    const answer = await api.job(next);
    for (const event of answer.events) {
      if (event.event === "error") throw new Error(event.message);
      onEvent(event);
    }
    next = answer.next;
    if (answer.over && !answer.events.length) return;
  }
}

export const report = (error) => say(error.message, true);
