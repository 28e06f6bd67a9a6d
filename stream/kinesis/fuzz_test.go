package kinesis_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"freshet/stream/kinesis"
	"freshet/stream/kv"
	"freshet/stream/vfs"
)

// seedInputs are an input of every operation, most of which do something.
func seedInputs() map[string]string {
	arn, consumer := arnOf("a"), arnOf("a")+"/consumer/c:1700000000"
	return map[string]string{
		"CreateStream": `{"StreamName":"b","ShardCount":2,"Tags":{"k":"v"},"MaxRecordSizeInKiB":1024,"StreamModeDetails":{"StreamMode":"PROVISIONED"}}`,
		"DeleteStream": `{"StreamName":"b","EnforceConsumerDeletion":true}`, "DescribeStream": `{"StreamName":"a","Limit":1,"ExclusiveStartShardId":"shardId-000000000000"}`,
		"DescribeStreamSummary": `{"StreamARN":"` + arn + `"}`, "ListStreams": `{"Limit":1,"NextToken":"x"}`,
		"IncreaseStreamRetentionPeriod": `{"StreamName":"a","RetentionPeriodHours":48}`, "DecreaseStreamRetentionPeriod": `{"StreamName":"a","RetentionPeriodHours":24}`,
		"UpdateStreamMode":           `{"StreamARN":"` + arn + `","StreamModeDetails":{"StreamMode":"ON_DEMAND"},"WarmThroughputMiBps":1}`,
		"UpdateStreamWarmThroughput": `{"StreamName":"a","WarmThroughputMiBps":4}`, "UpdateMaxRecordSize": `{"StreamARN":"` + arn + `","MaxRecordSizeInKiB":2048}`,
		"UpdateStreamRecordDistributionStrategy": `{"StreamARN":"` + arn + `","RecordDistributionStrategy":"AUTO"}`,
		"EnableEnhancedMonitoring":               `{"StreamName":"a","ShardLevelMetrics":["ALL"]}`, "DisableEnhancedMonitoring": `{"StreamName":"a","ShardLevelMetrics":["IncomingBytes"]}`,
		"StartStreamEncryption": `{"StreamName":"a","EncryptionType":"KMS","KeyId":"alias/aws/kinesis"}`, "StopStreamEncryption": `{"StreamName":"a","EncryptionType":"KMS","KeyId":"alias/aws/kinesis"}`,
		"ListShards":       `{"StreamName":"a","MaxResults":1,"ShardFilter":{"Type":"AT_TIMESTAMP","Timestamp":1700000000.5}}`,
		"SplitShard":       `{"StreamName":"a","ShardToSplit":"shardId-000000000000","NewStartingHashKey":"1000"}`,
		"MergeShards":      `{"StreamName":"a","ShardToMerge":"shardId-000000000000","AdjacentShardToMerge":"shardId-000000000001"}`,
		"UpdateShardCount": `{"StreamName":"a","TargetShardCount":3,"ScalingType":"UNIFORM_SCALING"}`,
		"PutRecord":        `{"StreamName":"a","Data":"YQ==","PartitionKey":"k","ExplicitHashKey":"7","SequenceNumberForOrdering":"0"}`,
		"PutRecords":       `{"StreamName":"a","Records":[{"Data":"YQ==","PartitionKey":"k"},{"Data":"","PartitionKey":"l","ExplicitHashKey":"0"}]}`,
		"GetShardIterator": `{"StreamName":"a","ShardId":"shardId-000000000000","ShardIteratorType":"TRIM_HORIZON"}`, "GetRecords": `{"ShardIterator":"AAAA","Limit":10}`,
		"SubscribeToShard":       `{"ConsumerARN":"` + consumer + `","ShardId":"shardId-000000000000","StartingPosition":{"Type":"LATEST"}}`,
		"RegisterStreamConsumer": `{"StreamARN":"` + arn + `","ConsumerName":"c","Tags":{"k":"v"}}`, "DeregisterStreamConsumer": `{"ConsumerARN":"` + consumer + `"}`,
		"DescribeStreamConsumer": `{"StreamARN":"` + arn + `","ConsumerName":"c"}`, "ListStreamConsumers": `{"StreamARN":"` + arn + `","MaxResults":1,"StreamCreationTimestamp":1}`,
		"AddTagsToStream": `{"StreamName":"a","Tags":{"k":"v","l":""}}`, "RemoveTagsFromStream": `{"StreamName":"a","TagKeys":["k"]}`, "ListTagsForStream": `{"StreamName":"a","Limit":1}`,
		"TagResource": `{"ResourceARN":"` + arn + `","Tags":{"k":"v"}}`, "UntagResource": `{"ResourceARN":"` + arn + `","TagKeys":["k"]}`, "ListTagsForResource": `{"ResourceARN":"` + arn + `"}`,
		"PutResourcePolicy": `{"ResourceARN":"` + arn + `","Policy":"{\"Version\":\"2012-10-17\"}"}`, "GetResourcePolicy": `{"ResourceARN":"` + arn + `"}`, "DeleteResourcePolicy": `{"ResourceARN":"` + arn + `"}`,
		"DescribeLimits": `{}`, "DescribeAccountSettings": `{}`, "UpdateAccountSettings": `{"MinimumThroughputBillingCommitment":{"Status":"ENABLED"}}`,
		"CreateChannel": `{"ChannelName":"c","Tags":{"a":"b"}}`, "DeleteChannel": `{"ChannelARN":"x"}`, "DescribeChannel": `{"ChannelARN":"x"}`, "ListChannels": `{"MaxResults":1}`, "UpdateChannel": `{"ChannelARN":"x"}`,
	}
}

// FuzzRequest sends requests of every kind through the handler of a real log. Each is
// answered soon, with success or with an exception of the service that is the client's
// fault.
func FuzzRequest(f *testing.F) {
	const signed = "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=abc"
	inputs := seedInputs()
	for _, op := range slices.Sorted(maps.Keys(inputs)) {
		f.Add("POST", "/", "Kinesis_20131202."+op, jsonType, signed, "20260101T000000Z", []byte(inputs[op]))
		f.Add("POST", "/", "Kinesis_20131202."+op, cborType, signed, "20260101T000000Z", []byte(toCBOR(f, inputs[op])))
	}
	f.Add("GET", "/", "", "", "", "", []byte{})
	f.Add("OPTIONS", "/x?y", "Kinesis_20131202.PutRecord", plainType, "X", "", []byte("{}"))
	f.Add("POST", "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/b/c/d/e&X-Amz-Signature=b&X-Amz-SignedHeaders=c&X-Amz-Date=20260101T000000Z&X-Amz-Target=Kinesis_20131202.ListStreams", "", plainType, "", "", []byte("{}"))
	r := newRig(f, vfs.NewMem(), kv.NewMem(), func(o *kinesis.Options) { o.Settle, o.ShardLimit = -1, 20 })
	r.create("a", 2)
	r.ok("RegisterStreamConsumer", object{"StreamARN": arnOf("a"), "ConsumerName": "c"})
	f.Fuzz(func(t *testing.T, method, path, target, contentType, authorization, date string, body []byte) {
		req, ok := fuzzed(method, path, body, map[string]string{
			"X-Amz-Target": target, "Content-Type": contentType, "Authorization": authorization, "X-Amz-Date": date, "Origin": date[:min(len(date), 1)],
		})
		if !ok {
			t.Skip()
		}
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond) // ends subscriptions
		defer cancel()
		w, began := httptest.NewRecorder(), time.Now()
		r.handler.ServeHTTP(w, req.WithContext(ctx))
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
		checkAnswer(t, w, ctx.Err() != nil)
	})
}

// fuzzed makes a request of what could come over a wire.
func fuzzed(method, path string, body []byte, header map[string]string) (*http.Request, bool) {
	token := regexp.MustCompile(`^[A-Z]{1,10}$`)
	u, err := url.ParseRequestURI(path)
	if err != nil || !token.MatchString(method) {
		return nil, false
	}
	req := httptest.NewRequest(method, "http://localhost/", strings.NewReader(string(body)))
	req.URL.Path, req.URL.RawPath, req.URL.RawQuery = u.Path, u.RawPath, u.RawQuery
	for name, value := range header {
		if strings.ContainsAny(value, "\r\n\x00") {
			return nil, false
		}
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	return req, true
}

// checkAnswer wants success, or an exception in the syntax of the answer.
func checkAnswer(t *testing.T, w *httptest.ResponseRecorder, cut bool) {
	t.Helper()
	if len(idsOf(w.Header())) == 0 {
		t.Error("no x-amzn-RequestId")
	}
	if w.Code == 200 || cut && w.Code == http.StatusServiceUnavailable {
		return
	}
	if w.Code < 400 || w.Code >= 500 {
		t.Fatalf("got %d %q", w.Code, w.Body)
	}
	var e struct {
		Type   string `json:"__type"`
		Output struct {
			Type string `json:"__type"`
		}
	}
	var err error
	switch w.Header().Get("Content-Type") {
	case cborType:
		err = cbor.Unmarshal(w.Body.Bytes(), &e)
	case jsonType, plainType:
		err = json.Unmarshal(w.Body.Bytes(), &e)
	default:
		if !regexp.MustCompile(`(?s)^<([A-Za-z]+)(/>|>.*</([A-Za-z]+)>)\n$`).Match(w.Body.Bytes()) {
			t.Fatalf("got %d %q", w.Code, w.Body)
		}
		return
	}
	if err != nil || e.Type == "" && e.Output.Type == "" || !utf8.Valid(w.Body.Bytes()) && w.Header().Get("Content-Type") != cborType {
		t.Fatalf("got %d %q: %v", w.Code, w.Body, err)
	}
}

// depth is how deep lists and objects stand in each other, outside of strings.
func depth(body []byte) int {
	most, now, inside := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case !inside && (c == '{' || c == '['):
			now++
			most = max(most, now)
		case !inside && (c == '}' || c == ']'):
			now--
		}
	}
	return most
}

// FuzzDecodeJSON holds the decoder to encoding/json: an input whose members are all
// unknown is read exactly when it is an object.
func FuzzDecodeJSON(f *testing.F) {
	for _, body := range append(putBodies(), `{"a":[1,-0.5e+7,"\ud83d\ude00\n",{"b":null}],"c":[[]],"d":{}}`, `{"a":00}`, `{"a":"\u12"}`) {
		f.Add([]byte(body))
	}
	r := newRig(f, vfs.NewMem(), kv.NewMem())
	f.Fuzz(func(t *testing.T, body []byte) {
		if depth(body) > 50 {
			t.Skip()
		}
		w := r.send(sent{target: "DescribeLimits", contentType: jsonType, body: string(body)})
		var fields map[string]json.RawMessage
		object := json.Unmarshal(body, &fields) == nil && fields != nil && utf8.Valid(body)
		if (w.Code == 200) != object {
			t.Errorf("%q: got %d %s, want read: %v", body, w.Code, w.Body, object)
		}
	})
}

// FuzzDecodeCBOR holds the decoder to another: what it reads is well-formed, and what the
// other writes is read.
func FuzzDecodeCBOR(f *testing.F) {
	for _, body := range seedInputs() {
		f.Add([]byte(toCBOR(f, body)))
	}
	for _, body := range []string{"\xbf\x61a\x7f\x61b\x60\xff\xff", "\xa1\x61a\xc1\xfb@Y\x00\x00\x00\x00\x00\x00", "\xa1\x61a\x9f\xf6\xf7\xf9\x00\x00\xff"} {
		f.Add([]byte(body))
	}
	r := newRig(f, vfs.NewMem(), kv.NewMem())
	mode, err := cbor.DecOptions{MaxNestedLevels: 200}.DecMode()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		read := func(body []byte) bool {
			return r.send(sent{target: "DescribeLimits", contentType: cborType, body: string(body)}).Code == 200
		}
		if read(body) {
			if err := mode.Wellformed(body); err != nil {
				t.Errorf("%x is read: %v", body, err)
			}
		}
		var fields map[string]string
		if mode.Unmarshal(body, &fields) == nil && fields != nil {
			if again, err := cbor.Marshal(fields); err != nil || !read(again) {
				t.Errorf("%x is not read, %v", again, err)
			}
		}
	})
}
