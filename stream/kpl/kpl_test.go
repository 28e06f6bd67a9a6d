package kpl_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"freshet/stream/kpl"
)

// TestGolden compares with aggregates that aws-kinesis-agg 4.0.4 (npm) has made.
func TestGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name    string
		Records []struct {
			Key, Hash string
			Data      []byte
		}
		Aggregate []byte
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			var a kpl.Aggregator
			got, err := kpl.Decode(nil, c.Aggregate)
			if err != nil || len(got) != len(c.Records) {
				t.Fatalf("got %d records, %v, want %d", len(got), err, len(c.Records))
			}
			for i, r := range c.Records {
				want := kpl.Record{PartitionKey: r.Key, ExplicitHashKey: r.Hash, Data: r.Data}
				wantRecord(t, got[i], want)
				if !a.Add(want) {
					t.Fatalf("record %d does not fit", i)
				}
			}
			if out := a.AppendTo(nil); !bytes.Equal(out, c.Aggregate) || len(out) != a.Size() {
				t.Errorf("got %x\nwant %x", out, c.Aggregate)
			}
		})
	}
}

// TestByHand reads an aggregate written out byte by byte.
func TestByHand(t *testing.T) {
	message, err := hex.DecodeString(strings.ReplaceAll(
		"0a 01 61 "+ // partition_key_table: "a"
			"0a 01 62 "+ // "b"
			"12 01 37 "+ // explicit_hash_key_table: "7"
			"1a 06 08 01 1a 02 68 69 "+ // key 1, data "hi"
			"1a 07 08 00 10 00 1a 01 21", // key 0, hash 0, data "!"
		" ", ""))
	if err != nil {
		t.Fatal(err)
	}
	got, err := kpl.Decode(nil, wrap(message))
	if err != nil || len(got) != 2 {
		t.Fatalf("got %v, %v", got, err)
	}
	wantRecord(t, got[0], kpl.Record{PartitionKey: "b", Data: []byte("hi")})
	wantRecord(t, got[1], kpl.Record{PartitionKey: "a", ExplicitHashKey: "7", Data: []byte("!")})
}

func wantRecord(t *testing.T, got, want kpl.Record) {
	t.Helper()
	if got.PartitionKey != want.PartitionKey || got.ExplicitHashKey != want.ExplicitHashKey || !bytes.Equal(got.Data, want.Data) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

// wrap makes an aggregated record of a message.
func wrap(message []byte) []byte {
	sum := md5.Sum(message)
	return append(append([]byte(kpl.Magic), message...), sum[:]...)
}

// field encodes a field of bytes.
func field(n protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), value)
}

// number encodes a field that is a number.
func number(n protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), value)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// TestOrderAndUnknownFields reads what other writers of protobuf may make of an aggregate:
// tables behind the records, tags, fields of later versions, fields that come twice.
func TestOrderAndUnknownFields(t *testing.T) {
	record := join(
		field(4, join(field(1, []byte("tag")), field(2, []byte("value")))),
		field(3, []byte("first")), number(9, 7), field(3, []byte("last")), number(1, 1))
	message := join(field(3, record), number(12, 1), field(1, []byte("a")), field(13, []byte("later")), field(1, []byte("b")))
	got, err := kpl.Decode(nil, wrap(message))
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	wantRecord(t, got[0], kpl.Record{PartitionKey: "b", Data: []byte("last")})
}

func TestPlainRecords(t *testing.T) {
	whole := wrap(field(1, []byte("a")))
	damaged := bytes.Clone(whole)
	damaged[len(damaged)-1]++
	for name, data := range map[string][]byte{
		"nothing":              nil,
		"no magic":             []byte(`{"metric":"cpu"}, and some more bytes`),
		"magic alone":          []byte(kpl.Magic),
		"no message":           wrap(nil),
		"another digest":       damaged,
		"cut":                  whole[:len(whole)-1],
		"magic in other bytes": append([]byte(kpl.Magic), make([]byte, 100)...),
	} {
		dst := []kpl.Record{{PartitionKey: "mine"}}
		got, err := kpl.Decode(dst, data)
		if !errors.Is(err, kpl.ErrNotAggregate) || len(got) != 1 || got[0].PartitionKey != "mine" {
			t.Errorf("%s: got %v, %v, want ErrNotAggregate", name, got, err)
		}
	}
	if kpl.IsAggregated(wrap(nil)) || kpl.IsAggregated([]byte("plain")) || !kpl.IsAggregated(whole) || !kpl.IsAggregated(damaged) {
		t.Error("IsAggregated looks at the magic and the length alone")
	}
}

func TestDamagedAggregates(t *testing.T) {
	key := field(1, []byte("a"))
	good := field(3, join(number(1, 0), field(3, []byte("x"))))
	for _, c := range []struct {
		want    string
		message []byte
	}{
		{"byte 3 of the message", join(key, []byte{0x1a, 0x05, 1})},
		{"byte 0 of the message", []byte{0x80}},
		{"user record 1 of 2: partition_key_index: must be below 1, got 1", join(key, good, field(3, join(number(1, 1), field(3, nil))))},
		{"user record 0 of 1: explicit_hash_key_index: must be below 0, got 0", join(key, field(3, join(number(1, 0), number(2, 0), field(3, nil))))},
		{"partition_key_index: must be below 1, got 18446744073709551615", join(key, field(3, join(number(1, ^uint64(0)), field(3, nil))))},
		{"partition_key_index is missing", join(key, field(3, field(3, []byte("x"))))},
		{"partition_key_index is missing", join(key, field(3, join(field(1, []byte("0")), field(3, nil))))},
		{"data is missing", join(key, field(3, number(1, 0)))},
		{"user record 0 of 1: ", join(key, field(3, []byte{0x1a, 0xff}))},
		{"at most 10485760 bytes, got 10485771", field(9, make([]byte, kpl.MaxBytes-14))},
		{"more than 262144 user records or keys", bytes.Repeat([]byte{0x1a, 0}, kpl.MaxRecords+1)},
		{"more than 262144 user records or keys", bytes.Repeat([]byte{0x0a, 0}, kpl.MaxRecords+1)},
		{"more than 262144 user records or keys", bytes.Repeat([]byte{0x12, 0}, kpl.MaxRecords+1)},
	} {
		got, err := kpl.Decode(nil, wrap(c.message))
		if err == nil || errors.Is(err, kpl.ErrNotAggregate) || !strings.Contains(err.Error(), c.want) || got != nil {
			t.Errorf("got %v, %v, want %q", len(got), err, c.want)
		}
	}
}

func TestLimits(t *testing.T) {
	var a kpl.Aggregator
	big := kpl.Record{PartitionKey: "a", Data: make([]byte, 60_000)}
	if !a.Add(big) || a.Add(kpl.Record{PartitionKey: "a"}) {
		t.Error("a record above the limit stands alone")
	}
	a.Reset()
	n := 0
	for a.Add(kpl.Record{PartitionKey: fmt.Sprint("key-", n), ExplicitHashKey: fmt.Sprint(n % 10), Data: make([]byte, n%300)}) {
		n++
	}
	if a.Len() != n || a.Size() > kpl.DefaultMaxBytes || a.Size() < kpl.DefaultMaxBytes-400 || len(a.AppendTo(nil)) != a.Size() {
		t.Errorf("got %d records in %d bytes, want %d in at most %d", a.Len(), a.Size(), n, kpl.DefaultMaxBytes)
	}
	a = kpl.Aggregator{MaxCount: 3}
	for range 3 {
		if !a.Add(kpl.Record{PartitionKey: "a"}) {
			t.Error("three fit")
		}
	}
	if a.Add(kpl.Record{PartitionKey: "a"}) {
		t.Error("a fourth fits")
	}
	exact := a.Size()
	a = kpl.Aggregator{MaxBytes: exact}
	for i := range 4 {
		if got := a.Add(kpl.Record{PartitionKey: "a"}); got != (i < 3) {
			t.Errorf("record %d of a limit that fits three: got %v", i, got)
		}
	}
}

// TestRoundTrip packs any records, also after a Reset, and reads them again.
func TestRoundTrip(t *testing.T) {
	var a kpl.Aggregator
	rapid.Check(t, func(t *rapid.T) {
		a.Reset()
		a.MaxBytes = rapid.IntRange(0, 3000).Draw(t, "limit")
		key := rapid.StringMatching(`[a-dü鍵]{1,3}`)
		hash := rapid.SampledFrom([]string{"", "", "0", "1", "340282366920938463463374607431768211455"})
		data := rapid.SliceOfN(rapid.Byte(), 0, 200)
		var want []kpl.Record
		for range rapid.IntRange(1, 400).Draw(t, "records") {
			r := kpl.Record{PartitionKey: key.Draw(t, "key"), ExplicitHashKey: hash.Draw(t, "hash"), Data: data.Draw(t, "data")}
			before := a.Size()
			if !a.Add(r) {
				if a.Size() != before || a.Len() != len(want) {
					t.Fatal("a record that was refused left something")
				}
				break
			}
			want = append(want, r)
		}
		out := a.AppendTo([]byte("before"))[len("before"):]
		if len(out) != a.Size() {
			t.Fatalf("got %d bytes, want %d", len(out), a.Size())
		}
		got, err := kpl.Decode(nil, out)
		if err != nil || len(got) != len(want) {
			t.Fatalf("got %d records, %v, want %d", len(got), err, len(want))
		}
		for i := range want {
			if got[i].PartitionKey != want[i].PartitionKey || got[i].ExplicitHashKey != want[i].ExplicitHashKey || !bytes.Equal(got[i].Data, want[i].Data) {
				t.Fatalf("record %d: got %+v, want %+v", i, got[i], want[i])
			}
		}
	})
}

// FuzzDecode gives any bytes for a message: no panic, and what is read can be packed and
// read again.
func FuzzDecode(f *testing.F) {
	var a kpl.Aggregator
	for i := range 5 {
		a.Add(kpl.Record{PartitionKey: fmt.Sprint(i % 2), ExplicitHashKey: strings.Repeat("7", i%2), Data: make([]byte, i)})
	}
	whole := a.AppendTo(nil)
	message := whole[len(kpl.Magic) : len(whole)-md5.Size]
	for _, seed := range [][]byte{nil, message, message[:9], whole, join(message, number(7, 1)), field(3, join(number(1, 5), field(3, nil)))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := kpl.Decode(nil, b); err != nil && got != nil {
			t.Fatalf("got %v beside %v", got, err)
		}
		got, err := kpl.Decode(nil, wrap(b))
		if err != nil {
			if got != nil {
				t.Fatalf("got %v beside %v", got, err)
			}
			return
		}
		again := kpl.Aggregator{MaxBytes: kpl.MaxBytes}
		for _, r := range got {
			if !again.Add(r) {
				t.Skip("keys that were shared, or empty hash keys, make it larger")
			}
		}
		if len(got) == 0 {
			return
		}
		twice, err := kpl.Decode(nil, again.AppendTo(nil))
		if err != nil || len(twice) != len(got) {
			t.Fatalf("got %d records, %v, want %d", len(twice), err, len(got))
		}
		for i := range got {
			wantRecord(t, twice[i], got[i])
		}
	})
}

func TestDecodeAllocations(t *testing.T) {
	data := aggregate(200, 40)
	dst := make([]kpl.Record, 0, 200)
	if n := testing.AllocsPerRun(100, func() {
		if got, err := kpl.Decode(dst[:0], data); err != nil || len(got) != 200 {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Errorf("got %v allocations, want 1 for the keys", n)
	}
	var a kpl.Aggregator
	r := kpl.Record{PartitionKey: "a", Data: make([]byte, 100)}
	out := make([]byte, 0, 1<<16)
	fill := func() {
		a.Reset()
		for a.Add(r) {
		}
		out = a.AppendTo(out[:0])
	}
	fill()
	if n := testing.AllocsPerRun(100, fill); n > 0 {
		t.Errorf("Aggregator: got %v allocations, want none", n)
	}
}

// aggregate packs n records of 200 bytes with so many keys.
func aggregate(n, keys int) []byte {
	a := kpl.Aggregator{MaxBytes: kpl.MaxBytes}
	for i := range n {
		a.Add(kpl.Record{PartitionKey: fmt.Sprint("partition-", i%keys), Data: make([]byte, 200)})
	}
	return a.AppendTo(nil)
}

func BenchmarkDecode(b *testing.B) {
	for _, keys := range []int{1, 40, 250} {
		b.Run(fmt.Sprintf("records=250/keys=%d", keys), func(b *testing.B) {
			data := aggregate(250, keys)
			var dst []kpl.Record
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if dst, err = kpl.Decode(dst[:0], data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAggregator(b *testing.B) {
	var a kpl.Aggregator
	r := kpl.Record{PartitionKey: "partition-17", Data: make([]byte, 200)}
	out := make([]byte, 0, 1<<16)
	b.SetBytes(200)
	b.ReportAllocs()
	for b.Loop() {
		if !a.Add(r) {
			out = a.AppendTo(out[:0])
			a.Reset()
			a.Add(r)
		}
	}
}
