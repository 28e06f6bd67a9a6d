// Drives every operation with Amazon's SDK for JavaScript, as its users would: the
// endpoint is changed, nothing else. TestJavaScript starts the server and this.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import * as sdk from "@aws-sdk/client-kinesis";

const client = new sdk.KinesisClient({
  endpoint: process.env.FRESHET_KINESIS_URL,
  region: "us-east-1",
  maxAttempts: 1,
  credentials: { accessKeyId: process.env.FRESHET_KINESIS_KEY, secretAccessKey: process.env.FRESHET_KINESIS_SECRET },
});
const called = new Set();
after(() => client.destroy());

/** Calls an operation by its name. */
function call(operation, input = {}) {
  called.add(operation);
  return client.send(new sdk[`${operation}Command`](input));
}

const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const bytes = (text) => new TextEncoder().encode(text);
const text = (data) => new TextDecoder().decode(data);
const shard = (n) => `shardId-${String(n).padStart(12, "0")}`;

async function create(StreamName, ShardCount = 1) {
  await call("CreateStream", { StreamName, ShardCount });
  await active(StreamName);
  return (await summary(StreamName)).StreamARN;
}

function active(StreamName) {
  return sdk.waitUntilStreamExists({ client, maxWaitTime: 10, minDelay: 0.05, maxDelay: 0.1 }, { StreamName });
}

async function summary(StreamName) {
  return (await call("DescribeStreamSummary", { StreamName })).StreamDescriptionSummary;
}

async function read(StreamName, n, type = "TRIM_HORIZON", more = {}) {
  const { ShardIterator } = await call("GetShardIterator", { StreamName, ShardId: shard(n), ShardIteratorType: type, ...more });
  return call("GetRecords", { ShardIterator });
}

test("streams", async () => {
  const StreamName = "js-streams";
  await assert.rejects(call("DescribeStream", { StreamName }), (e) => {
    assert(e instanceof sdk.ResourceNotFoundException, `${e}`);
    assert.equal(e.message, "Stream js-streams under account 000000000000 not found.");
    assert.equal(e.$metadata.httpStatusCode, 400);
    assert.match(e.$metadata.requestId, /^[0-9a-f-]{36}$/);
    return true;
  });
  await call("CreateStream", { StreamName, ShardCount: 2 });
  // How long a stream is CREATING is tested with a clock of its own; here it may be over.
  assert.match((await summary(StreamName)).StreamStatus, /^(CREATING|ACTIVE)$/);
  await active(StreamName);
  const { StreamDescription: d } = await call("DescribeStream", { StreamName });
  assert.equal(d.StreamARN, "arn:aws:kinesis:us-east-1:000000000000:stream/js-streams");
  assert.equal(d.Shards.length, 2);
  assert.equal(d.EncryptionType, "NONE");
  assert.equal(d.HasMoreShards, false);
  assert(Math.abs(Date.now() - d.StreamCreationTimestamp) < 60_000);
  assert.equal(d.Shards[1].HashKeyRange.StartingHashKey, "170141183460469231731687303715884105728");
  assert.equal("ParentShardId" in d.Shards[0], false);

  const names = [];
  for await (const page of sdk.paginateListStreams({ client, pageSize: 1 }, {})) names.push(...page.StreamNames);
  called.add("ListStreams");
  assert(names.includes(StreamName));
  const ids = [];
  for (let input = { StreamName, MaxResults: 1 }; input; ) {
    const page = await call("ListShards", input);
    ids.push(...page.Shards.map((s) => s.ShardId));
    input = page.NextToken && { NextToken: page.NextToken, MaxResults: 1 };
  }
  assert.deepEqual(ids, [shard(0), shard(1)]);

  await call("DeleteStream", { StreamName });
  await sdk.waitUntilStreamNotExists({ client, maxWaitTime: 10, minDelay: 0.05, maxDelay: 0.1 }, { StreamName });
});

test("settings", async () => {
  const StreamName = "js-settings";
  const StreamARN = await create(StreamName);
  await call("IncreaseStreamRetentionPeriod", { StreamName, RetentionPeriodHours: 48 });
  await active(StreamName);
  assert.equal((await summary(StreamName)).RetentionPeriodHours, 48);
  await call("DecreaseStreamRetentionPeriod", { StreamName, RetentionPeriodHours: 24 });
  await active(StreamName);
  const on = await call("EnableEnhancedMonitoring", { StreamName, ShardLevelMetrics: ["ALL"] });
  assert.deepEqual(on.DesiredShardLevelMetrics, ["ALL"]);
  await active(StreamName);
  const off = await call("DisableEnhancedMonitoring", { StreamName, ShardLevelMetrics: ["ALL"] });
  assert.deepEqual(off.DesiredShardLevelMetrics, []);
  await active(StreamName);
  await call("UpdateMaxRecordSize", { StreamARN, MaxRecordSizeInKiB: 2048 });
  await active(StreamName);
  assert.equal((await summary(StreamName)).MaxRecordSizeInKiB, 2048);
  await call("StartStreamEncryption", { StreamName, EncryptionType: "KMS", KeyId: "alias/aws/kinesis" });
  await active(StreamName);
  assert.equal((await summary(StreamName)).EncryptionType, "KMS");
  await call("StopStreamEncryption", { StreamName, EncryptionType: "KMS", KeyId: "alias/aws/kinesis" });
  await active(StreamName);
  await call("UpdateStreamMode", { StreamARN, StreamModeDetails: { StreamMode: "ON_DEMAND" } });
  await active(StreamName);
  await call("UpdateStreamRecordDistributionStrategy", { StreamARN, RecordDistributionStrategy: "AUTO" });
  await active(StreamName);
  const put = await call("PutRecord", { StreamName, Data: bytes("no key") });
  assert.equal(put.SequenceNumber.length, 56);
  await call("UpdateAccountSettings", { MinimumThroughputBillingCommitment: { Status: "ENABLED" } });
  const settings = await call("DescribeAccountSettings");
  assert.equal(settings.MinimumThroughputBillingCommitment.Status, "ENABLED");
  const warm = await call("UpdateStreamWarmThroughput", { StreamName, WarmThroughputMiBps: 10 });
  assert.equal(warm.WarmThroughput.TargetMiBps, 10);
  assert((await call("DescribeLimits")).ShardLimit > 0);
});

test("tags and policies", async () => {
  const StreamName = "js-tags";
  const ResourceARN = await create(StreamName);
  await call("AddTagsToStream", { StreamName, Tags: { a: "1", b: "" } });
  await call("TagResource", { ResourceARN, Tags: { c: "größe" } });
  assert.deepEqual((await call("ListTagsForStream", { StreamName })).Tags, [{ Key: "a", Value: "1" }, { Key: "b", Value: "" }, { Key: "c", Value: "größe" }]);
  await call("RemoveTagsFromStream", { StreamName, TagKeys: ["a"] });
  await call("UntagResource", { ResourceARN, TagKeys: ["b"] });
  assert.deepEqual((await call("ListTagsForResource", { ResourceARN })).Tags, [{ Key: "c", Value: "größe" }]);
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Principal: "*", Action: "kinesis:*", Resource: ResourceARN }] });
  await call("PutResourcePolicy", { ResourceARN, Policy });
  assert.equal((await call("GetResourcePolicy", { ResourceARN })).Policy, Policy);
  await call("DeleteResourcePolicy", { ResourceARN });
});

test("records", async () => {
  const StreamName = "js-records";
  await create(StreamName);
  const first = await call("PutRecord", { StreamName, PartitionKey: "schlüssel", Data: bytes("first") });
  const many = await call("PutRecords", { StreamName, Records: Array.from({ length: 500 }, (_, i) => ({ PartitionKey: `${i}`, Data: bytes(`record ${i}`) })) });
  assert.equal(many.FailedRecordCount, 0);
  assert.equal(many.Records.length, 500);
  const all = await read(StreamName, 0);
  assert.equal(all.Records.length, 501);
  assert.equal(all.MillisBehindLatest, 0);
  assert.equal(all.Records[0].PartitionKey, "schlüssel");
  assert.equal(text(all.Records[500].Data), "record 499");
  assert(Math.abs(Date.now() - all.Records[0].ApproximateArrivalTimestamp) < 60_000);
  const after = await read(StreamName, 0, "AFTER_SEQUENCE_NUMBER", { StartingSequenceNumber: first.SequenceNumber });
  assert.equal(text(after.Records[0].Data), "record 0");
  const at = await read(StreamName, 0, "AT_SEQUENCE_NUMBER", { StartingSequenceNumber: first.SequenceNumber });
  assert.equal(text(at.Records[0].Data), "first");
  const later = await read(StreamName, 0, "AT_TIMESTAMP", { Timestamp: new Date(Date.now() - 3600_000) });
  assert.equal(later.Records.length, 501);
  assert.equal((await read(StreamName, 0, "LATEST")).Records.length, 0);
  await assert.rejects(call("PutRecord", { StreamName: "bad name!", PartitionKey: "x".repeat(257), Data: bytes("x") }), (e) => {
    assert.equal(e.name, "ValidationException");
    assert.match(e.message, /^2 validation errors detected: /);
    return true;
  });
  await assert.rejects(call("GetRecords", { ShardIterator: "none" }), sdk.InvalidArgumentException);
  await assert.rejects(call("PutRecord", { StreamName, PartitionKey: "a", Data: bytes("x"), DryRun: true }), sdk.DryRunOperationException);
});

test("shards", async () => {
  const StreamName = "js-shards";
  await create(StreamName);
  await call("PutRecord", { StreamName, PartitionKey: "a", Data: bytes("x") });
  await call("SplitShard", { StreamName, ShardToSplit: shard(0), NewStartingHashKey: "1000" });
  await active(StreamName);
  const end = await read(StreamName, 0);
  assert.equal(end.Records.length, 1);
  const over = end.NextShardIterator ? await call("GetRecords", { ShardIterator: end.NextShardIterator }) : end;
  assert.equal(over.NextShardIterator, undefined);
  assert.deepEqual(over.ChildShards.map((s) => s.ShardId), [shard(1), shard(2)]);
  await call("MergeShards", { StreamName, ShardToMerge: shard(1), AdjacentShardToMerge: shard(2) });
  await active(StreamName);
  const scaled = await call("UpdateShardCount", { StreamName, TargetShardCount: 2, ScalingType: "UNIFORM_SCALING" });
  assert.equal(scaled.TargetShardCount, 2);
  await active(StreamName);
  assert.equal((await summary(StreamName)).OpenShardCount, 2);
});

test("consumers", async () => {
  const StreamName = "js-consumers";
  const StreamARN = await create(StreamName);
  const { Consumer } = await call("RegisterStreamConsumer", { StreamARN, ConsumerName: "push" });
  const { ConsumerARN } = Consumer;
  for (;;) {
    const { ConsumerDescription: d } = await call("DescribeStreamConsumer", { ConsumerARN });
    if (d.ConsumerStatus === "ACTIVE") break;
    await wait(20);
  }
  const { Consumers } = await call("ListStreamConsumers", { StreamARN });
  assert.equal(Consumers[0].ConsumerName, "push");

  await call("PutRecord", { StreamName, PartitionKey: "a", Data: bytes("before") });
  const { EventStream } = await call("SubscribeToShard", { ConsumerARN, ShardId: shard(0), StartingPosition: { Type: "TRIM_HORIZON" } });
  const got = [];
  let continuation;
  for await (const event of EventStream) {
    const e = event.SubscribeToShardEvent;
    got.push(...e.Records.map((r) => text(r.Data)));
    continuation = e.ContinuationSequenceNumber;
    if (got.length === 1 && got[0] === "before") {
      await call("PutRecord", { StreamName, PartitionKey: "a", Data: bytes("after") });
    }
    if (got.length >= 2) break;
  }
  assert.deepEqual(got, ["before", "after"]);
  assert.equal(continuation.length, 56);
  await call("DeregisterStreamConsumer", { ConsumerARN });
});

test("channels", async () => {
  await assert.rejects(call("ListChannels"), sdk.AccessDeniedException);
});

test("every operation was called", () => {
  const all = Object.keys(sdk).filter((name) => /^[A-Z].*Command$/.test(name) && name !== "$Command").map((name) => name.slice(0, -"Command".length));
  const missing = all.filter((name) => !called.has(name) && !name.includes("Channel"));
  assert(all.length >= 39, `the SDK has ${all.length} operations`);
  assert.deepEqual(missing, []);
});
