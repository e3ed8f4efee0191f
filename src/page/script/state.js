// What the conversation is made of. Nothing of it is stored outside of the memory of this page.

export const state = {
  /** The contents of the conversation, as they are sent. */
  history: [],
  /** The pictures of the prompt: `{name, url, inlineData}`. */
  pictures: [],
  /** The abort controller of the running call. */
  running: null,
  calls: 0,
  /** The last request, which the samples show while no prompt is written. */
  sent: null,
};
