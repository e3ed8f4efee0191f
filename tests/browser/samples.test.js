// The samples that the page writes are the same call: each is run as it is copied.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';

import { ROOT } from '../clients/node/processes.js';
import { PICTURE, controlled, upstream, visit } from './fixture.js';
import { chunk } from './servers.js';

describe('the same call', () => {
  const python = `${ROOT}target/ci/python/bin/python`;
  const folder = mkdtempSync(`${tmpdir()}/sample-`);

  before(() => {
    writeFileSync(`${folder}/picture-1.png`, PICTURE);
    const proto = `${ROOT}proto`;
    const contract = `${proto}/mountsea/gemini/v1`;
    const files = [...readdirSync(contract).map((name) => `${contract}/${name}`), `${proto}/buf/validate/validate.proto`];
    execFileSync(python, ['-m', 'grpc_tools.protoc', `-I${proto}`, '--python_out=.', '--grpc_python_out=.', ...files], { cwd: folder });
    for (const file of ['go.mod', 'go.sum']) copyFileSync(`${ROOT}examples/go/${file}`, `${folder}/${file}`);
    const replacement = `github.com/mountsea/gemini-grpc/clients/go=${ROOT}clients/go`;
    execFileSync('go', ['mod', 'edit', '-replace', replacement], { cwd: folder });
    writeFileSync(`${folder}/go-run`, 'cp "$1" sample.go && go run -mod=readonly sample.go');
  });

  after(() => rmSync(folder, { recursive: true }));

  for (const [name, ...command] of [['curl', 'bash'], ['Python', python], ['Python gRPC', python], ['Go', 'bash', 'go-run']]) {
    test(`is made by the sample for ${name}`, async () => {
      const page = await visit(controlled);
      await page.getByRole('tab', { name, exact: true }).click();
      const prompt = 'It\'s "quoted", $HOME, `id` and \\n, in two\nlines';
      const run = async () => {
        writeFileSync(`${folder}/sample`, await page.locator('#sample').textContent());
        const program = spawn(command[0], [...command.slice(1), 'sample'], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
        const output = [];
        for (const stream of [program.stdout, program.stderr]) stream.on('data', (data) => output.push(data));
        const closed = once(program, 'close');
        const call = await Promise.race([upstream.next(), closed.then(() => assert.fail(`${Buffer.concat(output)}`))]);
        call.send(chunk('Hi.', true));
        call.end();
        assert.deepEqual(await closed, [0, null], `${Buffer.concat(output)}`);
        assert.match(`${Buffer.concat(output)}`, /Hi\./);
        return call.body.contents[0].parts;
      };
      await page.getByLabel('Prompt', { exact: true }).fill(prompt);
      assert.deepEqual(await run(), [{ text: prompt }]);
      await page.locator('#file').setInputFiles({ name: 'dot.png', mimeType: 'image/png', buffer: PICTURE });
      await page.locator('#pictures img').waitFor();
      const [picture, text] = await run();
      // Google's SDK writes the variant of base64 that is for URLs.
      assert.deepEqual([Buffer.from(picture.inlineData.data, 'base64'), text], [PICTURE, { text: prompt }]);
    });
  }
});
