// gRPC's client for Node against an echo of streams: what test_node_client.py reads is printed as JSON.
"use strict";
const grpc = require("@grpc/grpc-js");
const { randomBytes } = require("node:crypto");

const SIZE = 4 << 20;
const asIs = (bytes) => bytes;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function open(client, method = "Talk", options = {}) {
  const stream = client.makeBidiStreamRequest(`/test.Service/${method}`, asIs, asIs, new grpc.Metadata(), options);
  stream.ended = new Promise((resolve) => stream.on("status", resolve));
  stream.on("error", () => {});
  return stream;
}

function echo(stream, message) {
  return new Promise((resolve, reject) => {
    stream.once("data", (answer) => (answer.equals(message) ? resolve() : reject(new Error("another message came back"))));
    stream.ended.then((status) => reject(new Error(`it ended: ${status.code} ${status.details}`)));
    stream.write(message);
  });
}

function expect(found, expected, what) {
  if (found !== expected) throw new Error(`${what}: ${found} instead of ${expected}`);
}

const checks = {
  async reads(client) {
    const stream = open(client);
    for (let n = 0; n < 2000; n++) await echo(stream, Buffer.alloc(n, n % 256));
  },

  async large(client) {
    const stream = open(client);
    for (let n = 0; n < 4; n++) await echo(stream, randomBytes(SIZE));
  },

  async many(client) {
    const talk = async (n) => {
      const stream = open(client);
      for (let i = 0; i < 20; i++) await echo(stream, Buffer.from(`${n} ${i}`));
    };
    await Promise.all(Array.from({ length: 80 }, (_, n) => talk(n)));
  },

  // A writer is held back by who does not read, and other streams of the connection go on.
  async stopped(client) {
    const stuck = open(client, "Ignore");
    let taken = 0;
    const written = () => new Promise((resolve) => stuck.write(Buffer.alloc(64 << 10), () => resolve(true)));
    while (taken < 256 && (await Promise.race([written(), pause(500)]))) taken++;
    await echo(open(client), Buffer.from("goes on"));
    stuck.cancel();
    if (taken > 64) throw new Error(`${taken} chunks were taken`);
  },

  async ends(client) {
    const stream = open(client);
    stream.resume();
    stream.end();
    expect((await stream.ended).code, grpc.status.OK, "the end");
    const codes = { Refuse: grpc.status.RESOURCE_EXHAUSTED, Nobody: grpc.status.UNIMPLEMENTED, Fail: grpc.status.UNKNOWN };
    for (const [method, code] of Object.entries(codes)) {
      const call = open(client, method);
      call.resume();
      expect((await call.ended).code, code, method);
    }
    const late = open(client, "Ignore", { deadline: Date.now() + 100 });
    late.resume();
    expect((await late.ended).code, grpc.status.DEADLINE_EXCEEDED, "deadline");
    const cancelled = open(client);
    await echo(cancelled, Buffer.from("x"));
    cancelled.cancel();
    expect((await cancelled.ended).code, grpc.status.CANCELLED, "cancel");
  },
};

async function main() {
  const found = {};
  for (const [name, check] of Object.entries(checks)) {
    const options = { "grpc.max_receive_message_length": 2 * SIZE, "grpc.use_local_subchannel_pool": 1 };
    const client = new grpc.Client(process.argv[2], grpc.credentials.createInsecure(), options);
    found[name] = await check(client).then(
      () => "ok",
      (error) => String(error),
    );
    client.close();
  }
  process.stdout.write(JSON.stringify(found), () => process.exit(0));
}

main();
