// Requests and answers as plain values, which a test outside of the page can write and read.

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from './gen/google/rpc/error_details_pb.js';

export const request = (text, model, more) => ({
  model, contents: [{ role: 'user', parts: [{ data: { case: 'text', value: text } }] }], ...more,
});

const partsOf = (answer) => answer.candidates[0]?.content?.parts ?? [];

export const textOf = (answer) => partsOf(answer).map(({ data }) => (data.case === 'text' ? data.value : '')).join('');

/** The type and the length of each picture. */
export const picturesOf = (answer) => partsOf(answer).filter(({ data }) => data.case === 'inlineData')
  .map(({ data: { value } }) => [value.mimeType, value.data.length]);

/** The details of an error, in which `find` finds the messages of a type. */
export function errorDetails(find) {
  const [info] = find(ErrorInfoSchema);
  const [retry] = find(RetryInfoSchema);
  return {
    reason: info?.reason,
    metadata: { ...info?.metadata },
    retryMs: retry && Number(retry.retryDelay.seconds) * 1000 + retry.retryDelay.nanos / 1e6,
    fields: find(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations).map(({ field }) => field),
  };
}
