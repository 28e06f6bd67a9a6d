package consumer_test

import (
	"reflect"
	"strings"
	"testing"

	"freshet/stream"
	"freshet/stream/consumer"
	"freshet/stream/kv"
)

const leaseOf3 = "lease/app/shardId-000000000003"

// goldenLeases are leases as they are stored.
var goldenLeases = []struct {
	text  string
	lease consumer.Lease
}{
	{`{"v":1,"counter":0,"checkpoint":{"at":"TRIM_HORIZON"}}`, consumer.Lease{Shard: 3}},
	{`{"v":1,"owner":"a/01","wanted":"b/02","counter":7,"checkpoint":{"at":"SHARD_END"}}`,
		consumer.Lease{Shard: 3, Owner: "a/01", Wanted: "b/02", Counter: 7, Checkpoint: consumer.Position{Kind: consumer.ShardEnd}}},
	{`{"v":1,"counter":1,"checkpoint":{"at":"LATEST"}}`, consumer.Lease{Shard: 3, Counter: 1, Checkpoint: consumer.Position{Kind: consumer.Latest}}},
	{`{"v":1,"counter":1,"checkpoint":{"at":"AT_TIMESTAMP","time":1700000000000}}`,
		consumer.Lease{Shard: 3, Counter: 1, Checkpoint: consumer.Position{Kind: consumer.AtTimestamp, Time: 1700000000000}}},
	{`{"v":1,"owner":"a/01","counter":9,"checkpoint":{"at":"49646437577175378652512468275265043690238750654487068722","sub":4,"within":true}}`,
		consumer.Lease{Shard: 3, Owner: "a/01", Counter: 9, Checkpoint: consumer.Position{Kind: consumer.AfterRecord, Sub: 4, Within: true,
			Sequence: stream.SequenceNumber{Created: 1700000000, Shard: 3, Offset: 12, Second: 1700000005}}}},
}

func TestLeaseCodec(t *testing.T) {
	for _, g := range goldenLeases {
		if got := string(consumer.EncodeLease(g.lease)); got != g.text {
			t.Errorf("got %s\nwant %s", got, g.text)
		}
		got, err := consumer.DecodeLease("app", kv.Entry{Key: leaseOf3, Value: []byte(g.text)})
		if err != nil || !reflect.DeepEqual(got, g.lease) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, g.lease)
		}
	}
	for text, want := range map[string]string{
		`{"v":2,"checkpoint":{"at":"LATEST"}}`:              "version 2",
		`{"v":1,"checkpoint":{"at":"LATEST","sub":1}}`:      "LATEST",
		`{"v":1,"checkpoint":{"at":"4964590871235481110"}}`: "4964590871235481110",
		`{"v":1,"checkpoint":{"at":""}}`:                    "sequence number",
		`{"v":1,`:                                           "JSON",
	} {
		if _, err := consumer.DecodeLease("app", kv.Entry{Key: leaseOf3, Value: []byte(text)}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), leaseOf3) {
			t.Errorf("%s: got %v, want the key and %q", text, err, want)
		}
	}
	if _, err := consumer.DecodeLease("app", kv.Entry{Key: "lease/app/x", Value: []byte(goldenLeases[0].text)}); err == nil {
		t.Errorf("got no error for a key that names no shard")
	}
}

func FuzzLease(f *testing.F) {
	for _, g := range goldenLeases {
		f.Add([]byte(g.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := consumer.DecodeLease("app", kv.Entry{Key: leaseOf3, Value: text})
		if err != nil {
			return
		}
		again, err := consumer.DecodeLease("app", kv.Entry{Key: leaseOf3, Value: consumer.EncodeLease(l)})
		if err != nil || !reflect.DeepEqual(again, l) {
			t.Errorf("%s: got %+v, %v, want %+v", text, again, err, l)
		}
	})
}

func TestPositionCompare(t *testing.T) {
	at := func(o stream.Offset, sub uint32, within bool) consumer.Position {
		return consumer.Position{Kind: consumer.AfterRecord, Sequence: stream.SequenceNumber{Offset: o}, Sub: sub, Within: within}
	}
	rising := []consumer.Position{{}, at(1, 0, true), at(1, 5, true), at(1, 5, false), at(2, 0, false), {Kind: consumer.ShardEnd}}
	for i, p := range rising {
		for k, q := range rising {
			if got, want := p.Compare(q), min(1, max(-1, i-k)); got != want {
				t.Errorf("%s to %s: got %d, want %d", p, q, got, want)
			}
		}
	}
	for _, kind := range []consumer.Kind{consumer.Latest, consumer.AtTimestamp} {
		if got := (consumer.Position{Kind: kind}).Compare(consumer.Position{}); got != 0 {
			t.Errorf("got %d for %v and the horizon, want 0", got, kind)
		}
	}
	if got := at(1, 7, false).Compare(at(1, 0, false)); got != 0 {
		t.Errorf("got %d for two names of the end of a record, want 0", got)
	}
}
