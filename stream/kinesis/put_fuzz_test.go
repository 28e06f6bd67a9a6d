package kinesis_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"freshet/stream/kinesis"
	"freshet/stream/kv"
	"freshet/stream/vfs"
)

// odd makes a body that means the same and that the scanner gives up at: one with a
// member that the model does not have.
func odd(body []byte) []byte {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	if !bytes.HasPrefix(trimmed, []byte("{")) {
		return body
	}
	rest := bytes.TrimLeft(trimmed[1:], " \t\r\n")
	comma := ","
	if bytes.HasPrefix(rest, []byte("}")) {
		comma = ""
	}
	return fmt.Appendf(nil, `{"Odd":[]%s%s`, comma, rest)
}

// FuzzPut holds the scanner to the general decoder: the same bodies are taken, the same
// are refused with the same words, and the same records are stored.
func FuzzPut(f *testing.F) {
	for _, body := range putBodies() {
		f.Add([]byte(body))
	}
	r := newRig(f, vfs.NewMem(), kv.NewMem())
	for _, name := range []string{"a", "b"} { // the scanner's records go to a, the others to b
		r.create(name, 3)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, op := range []string{"PutRecords", "PutRecord"} {
			before := r.offsets()
			status, answer := r.post(op, body)
			between := r.offsets()
			wantStatus, wantAnswer := r.post(op, odd(body))
			if status != wantStatus || blind(answer) != blind(wantAnswer) {
				t.Fatalf("%s %q:\n got %d %s\nwant %d %s", op, body, status, answer, wantStatus, wantAnswer)
			}
			if got, want := r.stored(t, before, between), r.stored(t, between, r.offsets()); got != want {
				t.Fatalf("%s %q: stored\n got %s\nwant %s", op, body, got, want)
			}
		}
	})
}

// blind leaves out what differs from one put to the next.
func blind(answer string) string {
	return regexp.MustCompile(`"[0-9]{56}"`).ReplaceAllString(answer, "N")
}

// putBodies are bodies of all kinds.
func putBodies() []string {
	records := func(members string) string { return `{"StreamName":"a","Records":[{` + members + `}]}` }
	all := []string{
		`{"StreamName":"a","PartitionKey":"k","Data":"YQ=="}`, `{"Data":"YQ==","PartitionKey":"k","StreamName":"a","ExplicitHashKey":"7"}`,
		`{"StreamName":"a","PartitionKey":"k","Data":"YQ==","SequenceNumberForOrdering":"1"}`, `{"StreamName":"a","Data":"YQ=="}`,
		`{"StreamARN":"` + arnOf("a") + `","PartitionKey":"k","Data":""}`, `{"StreamName":"a","StreamARN":"` + arnOf("b") + `","PartitionKey":"k","Data":""}`,
		`{"StreamName":"a","PartitionKey":"k","Data":"YQ==","DryRun":true}`, `{"StreamName":"nope","PartitionKey":"k","Data":"YQ=="}`,
		` { "StreamName" : "a" , "Records" : [ { "Data" : "YWI=" , "PartitionKey" : "k" } , { "PartitionKey" : "l" , "Data" : "" } ] } `,
		records(`"Data":"YWJj","PartitionKey":"k\u00e9\n\"\\\/\ud83d\ude00\ud83d"`), records(`"Data":"\/\/\u0038=","PartitionKey":"é/\u0000"`),
		records(`"Data":"YR==","PartitionKey":"k"`), records(`"Data":"YQ=","PartitionKey":"k"`), records(`"Data":"Y!==","PartitionKey":"k"`),
		records(`"Data":"YQ\n==","PartitionKey":"k"`), records(`"Data":"YWI\n","PartitionKey":"k"`), records("\"Data\":\"YWI\n\",\"PartitionKey\":\"k\""),
		records(`"Data":"YQ==","PartitionKey":""`), records(`"Data":"YQ==","PartitionKey":"` + strings.Repeat("k", 256) + `"`),
		records(`"Data":"YQ==","PartitionKey":"` + strings.Repeat("é", 200) + `"`), records(`"Data":"YQ==","PartitionKey":"` + strings.Repeat("é", 257) + `"`),
		records("\"Data\":\"YQ==\",\"PartitionKey\":\"\xff\""), records("\"Data\":\"YQ==\",\"PartitionKey\":\"\x01\""),
		records(`"Data":null,"PartitionKey":"k"`), records(`"PartitionKey":"k"`), records(`"Data":"YQ=="`), records(`"Data":"YQ==","PartitionKey":null`),
		records(`"Data":"YQ==","Data":"Yg==","PartitionKey":"k","PartitionKey":"l"`), records(`"Data":1,"PartitionKey":"k"`), records(`"Data":["YQ=="],"PartitionKey":"k"`),
		records(`"Data":"YQ==","PartitionKey":"k","ExplicitHashKey":"340282366920938463463374607431768211455"`),
		records(`"Data":"YQ==","PartitionKey":"k","ExplicitHashKey":"340282366920938463463374607431768211456"`),
		records(`"Data":"YQ==","PartitionKey":"k","ExplicitHashKey":"01"`), records(`"Data":"YQ==","PartitionKey":"k","ExplicitHashKey":""`),
		records(`"Data":"YQ==","PartitionKey":"k","ExplicitHashKey":null`), records(`"Data":"YQ==","PartitionKey":"k",`), records(`"Data":"YQ==" "PartitionKey":"k"`),
		records(`"Data":"YQ==","Pa\u0072titionKey":"k"`), records(``), `{"StreamName":"a","Records":[]}`, `{"StreamName":"a","Records":null}`,
		`{"StreamName":"a","Records":[null]}`, `{"StreamName":"a","Records":[{"Data":"YQ==","PartitionKey":"k"},]}`, `{"StreamName":"a"}`,
		`{"Records":[{"Data":"YQ==","PartitionKey":"k"}]}`, `{"StreamName":"","Records":[{"Data":"YQ==","PartitionKey":"k"}]}`,
		`{"StreamName":"a","StreamName":"b","Records":[{"Data":"YQ==","PartitionKey":"k"}]}`, `{"StreamName":"a b","Records":[{"Data":"YQ==","PartitionKey":"k"}]}`,
		`{"StreamName":"a","Records":[{"Data":"YQ==","PartitionKey":"k"}],"Records":[{"Data":"Yg==","PartitionKey":"k"}]}`,
		`{"StreamName":"a","StreamId":"x","Records":[{"Data":"YQ==","PartitionKey":"k"}]}`, `{"StreamARN":"arn","Records":[{"Data":"YQ==","PartitionKey":"k"}]}`,
		`{"StreamName":"a","Records":[` + strings.Repeat(`{"Data":"YQ==","PartitionKey":"k"},`, 500) + `{"Data":"YQ==","PartitionKey":"k"}]}`,
		`{"StreamName":"a","Records":[{"Data":"YQ==","PartitionKey":"k"}]} x`, ``, `{`, `{}`, `[]`, `null`, `"`, `{"StreamName":"a","Records":[{"Data":"`,
	}
	return all
}

// TestScannerTakes says which bodies the scanner does not leave to the general decoder.
func TestScannerTakes(t *testing.T) {
	s := kinesis.NewScanner()
	for body, want := range map[string]int{
		putBody(500, 200): 500,
		` { "StreamName" : "a" , "Records" : [ { "Data" : "YWI=" , "PartitionKey" : "k" } , { "PartitionKey" : "l" , "Data" : "" } ] } `:   2,
		`{"Records":[{"Data":"\/\/\u0038=","PartitionKey":"é\u00e9\ud83d\ude00","ExplicitHashKey":"0"}],"StreamARN":"` + arnOf("a") + `"}`: 1,
		`{"StreamName":"a","Records":[{"Data":"YQ=="}]}`: 1, // a stream may distribute its records itself
	} {
		if n, ok := s.Scan([]byte(body)); n != want || !ok {
			t.Errorf("%.80s: got %d records, %v, want %d", body, n, ok, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { s.Scan([]byte(putBody(1, 200))) }); n > 20 {
		t.Errorf("a small body: got %v allocations", n)
	}
	body := []byte(putBody(500, 200))
	if n := testing.AllocsPerRun(20, func() { s.Scan(body) }); n > 1 {
		t.Errorf("500 records: got %v allocations, want at most 1", n)
	}
}

// putBody is a PutRecords of n records of a size on stream a.
func putBody(n, size int) string {
	var b strings.Builder
	b.WriteString(`{"StreamName":"a","Records":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"Data":"%s","PartitionKey":"key-%07d"}`, base64Of(bytes.Repeat([]byte{byte(i), 250, 17}, (size+2)/3)[:size]), i)
	}
	return b.String() + "]}"
}
