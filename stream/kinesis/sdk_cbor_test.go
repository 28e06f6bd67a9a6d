package kinesis_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/fxamacker/cbor/v2"
)

const cborType = "application/x-amz-cbor-1.1"

// A cborClient speaks the API in CBOR, as the SDK for Java does.
type cborClient struct {
	t    *testing.T
	s    *sdkServer
	http *http.Client
	last []byte // body that was decoded
}

type cborMap = map[string]any

// send sends a request. The caller closes the answer's body.
func (c *cborClient) send(op string, in cborMap) *http.Response {
	c.t.Helper()
	body, err := cbor.Marshal(in)
	if err != nil {
		c.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.s.url, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", cborType)
	req.Header.Set("X-Amz-Target", "Kinesis_20131202."+op)
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(c.t.Context(), aws.Credentials{AccessKeyID: sdkKey, SecretAccessKey: sdkSecret}, req, hex.EncodeToString(sum[:]), "kinesis", "us-east-1", time.Now())
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Fatalf("%s: %v", op, err)
	}
	return resp
}

// call calls an operation.
func (c *cborClient) call(op string, in cborMap) (status int, out cborMap) {
	c.t.Helper()
	resp := c.send(op, in)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if len(body) == 0 {
		return resp.StatusCode, nil
	}
	if got := resp.Header.Get("Content-Type"); got != cborType {
		c.t.Errorf("%s: got the type %q, want %q", op, got, cborType)
	}
	return resp.StatusCode, c.decode(op, body)
}

func (c *cborClient) decode(what string, body []byte) (out cborMap) {
	c.t.Helper()
	if err := cbor.Unmarshal(body, &out); err != nil {
		c.t.Fatalf("%s: %v in %x", what, err, body)
	}
	c.last = body
	return out
}

// wantNow checks that a timestamp of the last answer is of this minute, and that it was
// written as tag 1 around an integer of milliseconds, which the decoder reads as seconds.
func (c *cborClient) wantNow(what string, v any) {
	c.t.Helper()
	at, is := v.(time.Time)
	if !is || time.Since(time.UnixMilli(at.Unix())).Abs() > time.Minute {
		c.t.Errorf("%s: got %v, want the milliseconds of now", what, v)
		return
	}
	if want := binary.BigEndian.AppendUint64([]byte{0xc1, 0x1b}, uint64(at.Unix())); !bytes.Contains(c.last, want) {
		c.t.Errorf("%s: %x is not in %x", what, want, c.last)
	}
}

// ok calls an operation that succeeds.
func (c *cborClient) ok(op string, in cborMap) cborMap {
	c.t.Helper()
	status, out := c.call(op, in)
	if status != http.StatusOK {
		c.t.Fatalf("%s: got %d %v", op, status, out)
	}
	return out
}

// void calls an operation that answers with an empty body.
func (c *cborClient) void(op string, in cborMap) {
	c.t.Helper()
	if out := c.ok(op, in); out != nil {
		c.t.Errorf("%s: got %v, want an empty body", op, out)
	}
}

// refused calls an operation that fails.
func (c *cborClient) refused(op string, in cborMap, code string) {
	c.t.Helper()
	if status, out := c.call(op, in); status != http.StatusBadRequest || out["__type"] != code {
		c.t.Errorf("%s: got %d %v, want 400 %s", op, status, out, code)
	}
}

// part returns what stands under some keys, one in the other.
func part(out any, keys ...any) any {
	for _, key := range keys {
		switch k := key.(type) {
		case string:
			switch m := out.(type) {
			case map[any]any:
				out = m[k]
			case cborMap:
				out = m[k]
			default:
				return nil
			}
		case int:
			list, is := out.([]any)
			if !is || k >= len(list) {
				return nil
			}
			out = list[k]
		}
	}
	return out
}

func (c *cborClient) active(name string) {
	c.t.Helper()
	for range 300 {
		if part(c.ok("DescribeStreamSummary", cborMap{"StreamName": name}), "StreamDescriptionSummary", "StreamStatus") == "ACTIVE" {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.t.Fatalf("%s does not become ACTIVE", name)
}

// TestCBOR walks all operations in CBOR.
func TestCBOR(t *testing.T) {
	t.Parallel()
	s := startSDK(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c := &cborClient{t: t, s: s, http: &http.Client{Transport: transport}}
	name, arn := "cbor", "arn:aws:kinesis:us-east-1:000000000000:stream/cbor"
	at := cborMap{"StreamName": name}
	with := func(in cborMap, key string, value any) cborMap {
		out := cborMap{key: value}
		for k, v := range in {
			out[k] = v
		}
		return out
	}
	settled := func(op string, in cborMap) {
		t.Helper()
		c.void(op, in)
		c.active(name)
	}

	c.refused("DescribeStream", at, "ResourceNotFoundException")
	c.refused("PutRecord", cborMap{"StreamName": "bad name!", "Data": []byte("x"), "PartitionKey": "a"}, "ValidationException")
	settled("CreateStream", cborMap{"StreamName": name, "ShardCount": 1})
	made := part(c.ok("DescribeStream", at), "StreamDescription", "StreamCreationTimestamp")
	c.wantNow("creation", made)
	wantPart := func(out any, value any, keys ...any) {
		t.Helper()
		if got := part(out, keys...); got != value {
			t.Errorf("%v: got %v, want %v", keys, got, value)
		}
	}
	wantPart(c.ok("ListStreams", cborMap{"Limit": 10}), name, "StreamNames", 0)
	wantPart(c.ok("ListShards", at), *sdkShard(0), "Shards", 0, "ShardId")

	put := c.ok("PutRecord", with(with(at, "Data", []byte{0, 255, 1}), "PartitionKey", "größe"))
	wantPart(put, *sdkShard(0), "ShardId")
	many := c.ok("PutRecords", with(at, "Records", []cborMap{{"Data": []byte("1"), "PartitionKey": "a"}, {"Data": []byte("2"), "PartitionKey": "b"}}))
	wantPart(many, uint64(0), "FailedRecordCount")
	iterator := with(with(at, "ShardId", *sdkShard(0)), "ShardIteratorType", "TRIM_HORIZON")
	it := c.ok("GetShardIterator", iterator)
	got := c.ok("GetRecords", cborMap{"ShardIterator": it["ShardIterator"], "Limit": 10})
	wantPart(got, "größe", "Records", 0, "PartitionKey")
	if data, ok := part(got, "Records", 0, "Data").([]byte); !ok || !bytes.Equal(data, []byte{0, 255, 1}) {
		t.Errorf("got the data %v, want a byte string", part(got, "Records", 0, "Data"))
	}
	c.wantNow("arrival", part(got, "Records", 0, "ApproximateArrivalTimestamp"))
	for _, number := range []any{time.Now().Add(-time.Hour).UnixMilli(), uint64(time.Now().Add(-time.Hour).UnixMilli())} {
		it := c.ok("GetShardIterator", with(with(iterator, "ShardIteratorType", "AT_TIMESTAMP"), "Timestamp", cbor.Tag{Number: 1, Content: number}))
		if got := part(c.ok("GetRecords", it), "Records").([]any); len(got) != 3 {
			t.Errorf("from an hour ago: got %d records, want 3", len(got))
		}
	}
	c.refused("PutRecord", with(with(with(at, "Data", []byte("x")), "PartitionKey", "a"), "DryRun", true), "DryRunOperationException")

	settled("IncreaseStreamRetentionPeriod", with(at, "RetentionPeriodHours", 48))
	settled("DecreaseStreamRetentionPeriod", with(at, "RetentionPeriodHours", 24))
	wantPart(c.ok("EnableEnhancedMonitoring", with(at, "ShardLevelMetrics", []string{"IncomingBytes"})), "IncomingBytes", "DesiredShardLevelMetrics", 0)
	c.active(name)
	c.ok("DisableEnhancedMonitoring", with(at, "ShardLevelMetrics", []string{"ALL"}))
	c.active(name)
	settled("StartStreamEncryption", with(with(at, "EncryptionType", "KMS"), "KeyId", "alias/aws/kinesis"))
	settled("StopStreamEncryption", with(with(at, "EncryptionType", "KMS"), "KeyId", "alias/aws/kinesis"))
	c.void("AddTagsToStream", with(at, "Tags", map[string]string{"a": "1"}))
	wantPart(c.ok("ListTagsForStream", at), "1", "Tags", 0, "Value")
	c.void("RemoveTagsFromStream", with(at, "TagKeys", []string{"a"}))
	c.void("TagResource", cborMap{"ResourceARN": arn, "Tags": map[string]string{"b": "2"}})
	wantPart(c.ok("ListTagsForResource", cborMap{"ResourceARN": arn}), "b", "Tags", 0, "Key")
	c.void("UntagResource", cborMap{"ResourceARN": arn, "TagKeys": []string{"b"}})
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kinesis:*","Resource":"` + arn + `"}]}`
	c.void("PutResourcePolicy", cborMap{"ResourceARN": arn, "Policy": policy})
	wantPart(c.ok("GetResourcePolicy", cborMap{"ResourceARN": arn}), policy, "Policy")
	c.void("DeleteResourcePolicy", cborMap{"ResourceARN": arn})
	settled("UpdateMaxRecordSize", cborMap{"StreamARN": arn, "MaxRecordSizeInKiB": 2048})

	settled("SplitShard", with(with(at, "ShardToSplit", *sdkShard(0)), "NewStartingHashKey", "1000"))
	settled("MergeShards", with(with(at, "ShardToMerge", *sdkShard(1)), "AdjacentShardToMerge", *sdkShard(2)))
	wantPart(c.ok("UpdateShardCount", with(with(at, "TargetShardCount", 2), "ScalingType", "UNIFORM_SCALING")), uint64(2), "TargetShardCount")
	c.active(name)

	consumer := part(c.ok("RegisterStreamConsumer", cborMap{"StreamARN": arn, "ConsumerName": "push"}), "Consumer", "ConsumerARN")
	time.Sleep(2 * sdkSettle)
	wantPart(c.ok("DescribeStreamConsumer", cborMap{"ConsumerARN": consumer}), "ACTIVE", "ConsumerDescription", "ConsumerStatus")
	wantPart(c.ok("ListStreamConsumers", cborMap{"StreamARN": arn}), "push", "Consumers", 0, "ConsumerName")
	c.subscribe(cborMap{"ConsumerARN": consumer, "ShardId": *sdkShard(0), "StartingPosition": cborMap{"Type": "TRIM_HORIZON"}})
	c.void("DeregisterStreamConsumer", cborMap{"ConsumerARN": consumer})

	wantPart(c.ok("DescribeLimits", cborMap{}), uint64(500), "ShardLimit")
	settled("UpdateStreamMode", cborMap{"StreamARN": arn, "StreamModeDetails": cborMap{"StreamMode": "ON_DEMAND"}})
	settled("UpdateStreamRecordDistributionStrategy", cborMap{"StreamARN": arn, "RecordDistributionStrategy": "AUTO"})
	wantPart(c.ok("UpdateAccountSettings", cborMap{"MinimumThroughputBillingCommitment": cborMap{"Status": "ENABLED"}}), "ENABLED", "MinimumThroughputBillingCommitment", "Status")
	wantPart(c.ok("DescribeAccountSettings", cborMap{}), "ENABLED", "MinimumThroughputBillingCommitment", "Status")
	wantPart(c.ok("UpdateStreamWarmThroughput", with(at, "WarmThroughputMiBps", 10)), uint64(10), "WarmThroughput", "TargetMiBps")
	c.active(name)
	c.refused("ListChannels", cborMap{}, "AccessDeniedException")
	c.void("DeleteStream", with(at, "EnforceConsumerDeletion", true))
	for _, op := range sdkOperations() {
		if s.called[op] == 0 {
			t.Errorf("%s was never called", op)
		}
	}
}

// subscribe reads a subscription to the closed shard 0, whose three records it has.
func (c *cborClient) subscribe(in cborMap) {
	c.t.Helper()
	resp := c.send("SubscribeToShard", in)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/vnd.amazon.eventstream" {
		text, _ := io.ReadAll(resp.Body)
		c.t.Fatalf("SubscribeToShard: got %s %v %q", resp.Status, resp.Header, text)
	}
	decoder := eventstream.NewDecoder()
	var kinds []string
	records, children := 0, 0
	for {
		m, err := decoder.Decode(resp.Body, nil)
		if err == io.EOF {
			break
		}
		if err != nil {
			c.t.Fatal(err)
		}
		kind := m.Headers.Get(":event-type")
		if kind == nil {
			c.t.Fatalf("got the headers %v", m.Headers)
		}
		if !slices.Contains(kinds, kind.String()) {
			kinds = append(kinds, kind.String())
		}
		if kind.String() != "SubscribeToShardEvent" {
			continue
		}
		event := c.decode("event", m.Payload)
		list, _ := part(event, "Records").([]any)
		records += len(list)
		if list, is := part(event, "ChildShards").([]any); is {
			children += len(list)
		}
		if _, is := part(event, "MillisBehindLatest").(uint64); !is {
			c.t.Errorf("got the event %v", event)
		}
	}
	if got := fmt.Sprint(strings.Join(kinds, " "), " ", records, " ", children); got != "initial-response SubscribeToShardEvent 3 2" {
		c.t.Errorf("got %s records and children, want initial-response SubscribeToShardEvent 3 2", got)
	}
}
