package kinesis_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"freshet/stream"
)

func base64Of(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

// request makes a request with a body in JSON.
func request(ctx context.Context, op, body string) *http.Request {
	q := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/", strings.NewReader(body))
	now := time.Now().UTC()
	q.Header.Set("X-Amz-Target", "Kinesis_20131202."+op)
	q.Header.Set("Content-Type", "application/x-amz-json-1.1")
	q.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	q.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/"+now.Format("20060102")+"/us-east-1/kinesis/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature="+strings.Repeat("0", 64))
	return q
}

// post sends a body and returns the status and the body of the answer.
func (r *rig) post(op string, body []byte) (int, string) {
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, request(context.Background(), op, string(body)))
	return w.Code, w.Body.String()
}

// offsets are the durable ends of all shards.
func (r *rig) offsets() map[*stream.Shard]stream.Offset {
	all := map[*stream.Shard]stream.Offset{}
	for _, s := range r.log.Streams() {
		for _, sh := range s.Shards() {
			all[sh] = sh.Durable()
		}
	}
	return all
}

// stored prints the records between two sets of ends.
func (r *rig) stored(t testing.TB, from, to map[*stream.Shard]stream.Offset) string {
	t.Helper()
	var b strings.Builder
	for _, s := range r.log.Streams() {
		for _, sh := range s.Shards() {
			for _, x := range recordsOf(t, sh, from[sh], to[sh]) {
				fmt.Fprintf(&b, "%s %q %v %v %q\n", sh, x.PartitionKey, x.HashKey, x.Explicit, x.Data)
			}
		}
	}
	return b.String()
}

// recordsOf reads what a shard holds.
func recordsOf(t testing.TB, sh *stream.Shard, from, to stream.Offset) []stream.Record {
	t.Helper()
	var all []stream.Record
	reader := sh.Reader(from)
	defer reader.Close()
	for reader.Offset() < to {
		records, err := reader.Next(context.Background(), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range records {
			if x.Offset >= to {
				break
			}
			x.PartitionKey, x.Data = append([]byte{}, x.PartitionKey...), append([]byte{}, x.Data...)
			all = append(all, x)
		}
	}
	return all
}

// record is a record of PutRecords.
func record(key, data string) object {
	return object{"PartitionKey": key, "Data": base64Of([]byte(data))}
}

// iterator gets one, and the arguments besides the shard's are pairs of names and values.
func (r *rig) iterator(name string, shard any, kind string, more ...any) string {
	r.t.Helper()
	in := object{"StreamName": name, "ShardId": shard, "ShardIteratorType": kind}
	for i := 0; i < len(more); i += 2 {
		in[more[i].(string)] = more[i+1]
	}
	return r.ok("GetShardIterator", in)["ShardIterator"].(string)
}

// get reads once and prints the data of the records.
func (r *rig) get(iterator any, limit int) (data string, out object) {
	r.t.Helper()
	out = r.ok("GetRecords", object{"ShardIterator": iterator, "Limit": limit})
	var all []string
	for _, x := range out["Records"].([]any) {
		d, err := base64.StdEncoding.DecodeString(x.(object)["Data"].(string))
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, string(d))
	}
	return strings.Join(all, " "), out
}
