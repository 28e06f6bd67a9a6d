package kinesis_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"freshet/stream"
	"freshet/stream/kinesis"

	"pgregory.net/rapid"
)

func TestIteratorCodec(t *testing.T) {
	seal := kinesis.IteratorSeal(bytes.Repeat([]byte{1}, 32))
	other := kinesis.IteratorSeal(bytes.Repeat([]byte{2}, 32))
	rapid.Check(t, func(t *rapid.T) {
		it := kinesis.Iterator{
			Number: rapid.Uint64().Draw(t, "number"), Shard: stream.ShardID(rapid.Uint32().Draw(t, "shard")),
			Offset: stream.Offset(rapid.Uint64().Draw(t, "offset")), Issued: rapid.Int64().Draw(t, "issued"),
			Name: strings.Repeat("n", rapid.IntRange(1, 128).Draw(t, "length of the name")),
		}
		text := it.Seal(seal)
		if got, ok := kinesis.OpenIterator(text, seal); !ok || got != it {
			t.Fatalf("got %+v, %v, want %+v", got, ok, it)
		}
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(raw) < 152 || (len(raw)-152)%16 != 0 || len(text) > 512 {
			t.Fatalf("got %d bytes, %v, want 152 or blocks of 16 more", len(raw), err)
		}
		if _, ok := kinesis.OpenIterator(text, other); ok {
			t.Fatal("an iterator of another secret was taken")
		}
		raw[rapid.IntRange(0, len(raw)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, ok := kinesis.OpenIterator(base64.StdEncoding.EncodeToString(raw), seal); ok {
			t.Fatal("an iterator that was changed was taken")
		}
	})
	for _, text := range []string{"", "AAAA", strings.Repeat("A", 204), strings.Repeat("A", 512), strings.Repeat("A", 5000), "\x00"} {
		if _, ok := kinesis.OpenIterator(text, seal); ok {
			t.Errorf("%.20q was taken", text)
		}
	}
}

func TestNumbersFollowEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := stream.SequenceNumber{
			Created: rapid.Uint64Range(0, 1<<36-1).Draw(t, "created"), Shard: stream.ShardID(rapid.Uint32().Draw(t, "shard")),
			Second: rapid.Uint64Range(0, 1<<36-1).Draw(t, "second"), Offset: stream.Offset(rapid.Uint64Range(0, 1<<63-300).Draw(t, "offset")),
		}
		var n kinesis.Numbers
		for range 200 {
			if got, want := n.Of(q), q.String(); got != want {
				t.Fatalf("offset %d: got %s, want %s", q.Offset, got, want)
			}
			switch q.Offset++; rapid.IntRange(0, 30).Draw(t, "what comes next") {
			case 0:
				q.Second = (q.Second + 1) & (1<<36 - 1)
			case 1:
				q.Offset++
			}
		}
	})
}

func TestDecodeBase64(t *testing.T) {
	alphabet := []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(base64Of(rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "data")))
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			if len(text) > 0 {
				at := rapid.IntRange(0, len(text)-1).Draw(t, "place")
				text[at] = rapid.SampledFrom(append(alphabet, '=', '\n', '\r', ' ', '-', 0, 255, '\\')).Draw(t, "character")
			}
		}
		text = text[:rapid.IntRange(max(0, len(text)-5), len(text)).Draw(t, "length")]
		want, err := base64.StdEncoding.Strict().DecodeString(string(text))
		ok := err == nil && len(want) == len(text)/4*3-bytes.Count(text, []byte("=")) && len(text)%4 == 0
		got, taken := kinesis.DecodeBase64(string(text))
		if taken != ok || ok && !bytes.Equal(got, want) {
			t.Fatalf("%q: got %x, %v, want %x, %v", text, got, taken, want, ok)
		}
	})
}
