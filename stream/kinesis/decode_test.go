package kinesis_test

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"freshet/stream/kv"
	"freshet/stream/vfs"
)

// TestSerialization wants the words of the service for values of a wrong type, and that
// all that can be read is.
func TestSerialization(t *testing.T) {
	const (
		number = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to "
		truth  = "class java.lang.Boolean can not be converted to "
		text   = "class java.lang.String can not be converted to "
		list   = "Start of list found where not expected"
		object = "Start of structure or map found where not expected."
		passes = "no stream" // the body was read: the stream is not there
	)
	r := newRig(t, vfs.NewMem(), kv.NewMem())
	for _, c := range []struct{ op, body, want string }{
		// Strings.
		{"PutRecord", `{"StreamName":1}`, number + "an String"},
		{"PutRecord", `{"StreamName":1.5e3}`, number + "an String"},
		{"PutRecord", `{"StreamName":true}`, truth + "an String"},
		{"PutRecord", `{"StreamName":[]}`, list},
		{"PutRecord", `{"StreamName":{}}`, object},
		// Blobs.
		{"PutRecord", `{"Data":1}`, number + "a Blob"},
		{"PutRecord", `{"Data":false}`, truth + "a Blob"},
		{"PutRecord", `{"Data":[]}`, list},
		{"PutRecord", `{"Data":"*"}`, "'*' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 1"},
		{"PutRecord", `{"Data":"aaa*"}`, "'aaa*' can not be converted to a Blob: Invalid Base64 character: '*'"},
		{"PutRecord", `{"Data":"aa=a"}`, "'aa=a' can not be converted to a Blob: Invalid last non-pad Base64 character dectected"},
		{"PutRecord", `{"Data":"a=aa"}`, "'a=aa' can not be converted to a Blob: Invalid Base64 character: '='"},
		{"PutRecord", `{"Data":"YR=="}`, "'YR==' can not be converted to a Blob: Invalid last non-pad Base64 character dectected"},
		{"PutRecord", `{"Data":"YQ==\n\n\n\n"}`, "'YQ==\n\n\n\n' can not be converted to a Blob: Invalid Base64 character: '='"},
		// Numbers.
		{"CreateStream", `{"ShardCount":"a"}`, text + "an Integer"},
		{"CreateStream", `{"ShardCount":true}`, truth + "an Integer"},
		{"CreateStream", `{"ShardCount":[]}`, list},
		{"CreateStream", `{"ShardCount":{}}`, object},
		// Booleans and moments.
		{"DeleteStream", `{"EnforceConsumerDeletion":1}`, number + "an Boolean"},
		{"DeleteStream", `{"EnforceConsumerDeletion":"yes"}`, text + "an Boolean"},
		{"GetShardIterator", `{"Timestamp":"a"}`, text + "milliseconds since epoch"},
		{"GetShardIterator", `{"Timestamp":true}`, truth + "milliseconds since epoch"},
		// Lists, maps and structures.
		{"PutRecords", `{"Records":"a"}`, "Expected list or null"},
		{"PutRecords", `{"Records":{}}`, object},
		{"PutRecords", `{"Records":[1]}`, "Expected null"},
		{"PutRecords", `{"Records":[[]]}`, list},
		{"AddTagsToStream", `{"Tags":"a"}`, "Expected map or null"},
		{"AddTagsToStream", `{"Tags":[]}`, list},
		{"AddTagsToStream", `{"Tags":{"a":1}}`, number + "an String"},
		{"AddTagsToStream", `{"Tags":{"a":{}}}`, object},
		{"RemoveTagsFromStream", `{"TagKeys":[true]}`, truth + "an String"},
		{"UpdateStreamMode", `{"StreamModeDetails":"PROVISIONED"}`, "Expected null"},
		// Not JSON.
		{"DescribeStream", `{"StreamName":"none"`, ""},
		{"DescribeStream", `{"StreamName":"none"} x`, ""},
		{"DescribeStream", `{"StreamName":"none",}`, ""},
		{"DescribeStream", `{"StreamName" "none"}`, ""},
		{"DescribeStream", `{StreamName:"none"}`, ""},
		{"DescribeStream", `{"StreamName":none}`, ""},
		{"DescribeStream", `{"StreamName":"none","Limit":01}`, ""},
		{"DescribeStream", `{"StreamName":"none","Limit":1.}`, ""},
		{"DescribeStream", `{"StreamName":"none","Limit":+1}`, ""},
		{"DescribeStream", `{"StreamName":"no\xne"}`, ""},
		{"DescribeStream", "{\"StreamName\":\"no\nne\"}", ""},
		{"DescribeStream", "{\"StreamName\":\"no\xff\"}", ""},
		{"DescribeStream", `{"x":[1,2}`, ""},
		{"DescribeStream", `{"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, ""},
		{"DescribeStream", `{"StreamName":"none"}{}`, ""},
		{"DescribeStream", `null`, ""},
		{"DescribeStream", `"a"`, ""},
		// What is taken.
		{"DescribeStream", "\t{ \"StreamName\" :\r\n\"none\" } ", passes},
		{"DescribeStream", `{"StreamName":"n\u006fne"}`, passes},
		{"DescribeStream", `{"StreamName":"x","StreamName":"none"}`, passes},
		{"DescribeStream", `{"StreamName":"none","Limit":null,"ExclusiveStartShardId":null}`, passes},
		{"DescribeStream", `{"StreamName":"none","Unknown":{"a":[1,-2.5e-3,"x",null,true,{"b":[]}]},"streamName":7}`, passes},
		{"DescribeStream", `{"StreamName":"none","Limit":1.9}`, passes},
		{"DescribeStream", `{"StreamName":"none","Limit":1E3}`, passes},
	} {
		t.Run(c.op+" "+c.body[:min(len(c.body), 60)], func(t *testing.T) {
			w := r.send(sent{target: c.op, contentType: jsonType, body: c.body})
			var got map[string]string
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("%q: %v", w.Body, err)
			}
			switch {
			case c.want == passes:
				want(t, "type", got["__type"], "ResourceNotFoundException")
			case got["__type"] != "SerializationException" || got["Message"] != c.want || got["message"] != "":
				t.Errorf("got %v, want a SerializationException: %s", got, c.want)
			}
		})
	}
}

// TestLongValuesAreCut wants messages that repeat no more than a bounded part of a request.
func TestLongValuesAreCut(t *testing.T) {
	r := newRig(t, vfs.NewMem(), kv.NewMem())
	long := strings.Repeat("é", 1<<20)
	for _, c := range []struct{ op, body string }{
		{"PutRecord", `{"Data":"` + long + `"}`},
		{"PutRecord", `{"StreamName":"` + long + `","PartitionKey":"` + long + `","Data":""}`},
		{"RemoveTagsFromStream", `{"TagKeys":["` + long + `"]}`},
		{"PutRecords", `{"Records":[` + strings.Repeat("{},", 1e6) + `{}]}`},
		{"AddTagsToStream", `{"Tags":{"` + long + `":"` + long + `"}}`},
	} {
		w := r.send(sent{target: c.op, contentType: jsonType, body: c.body})
		if w.Code != 400 || w.Body.Len() > 256<<10 {
			t.Errorf("%s: got %d and %d bytes", c.op, w.Code, w.Body.Len())
		}
	}
}

// TestCBORForms reads one request in all the forms that CBOR has for it.
func TestCBORForms(t *testing.T) {
	r := newRig(t, vfs.NewMem(), kv.NewMem())
	r.create("a", 1)
	const (
		name = "6a53747265616d4e616d65" + "6161" // "StreamName": "a"
	)
	for _, c := range []struct {
		name, op, body string
		status         int
	}{
		{"definite", "DescribeStream", "a1" + name, 200},
		{"indefinite map", "DescribeStream", "bf" + name + "ff", 200},
		{"text in pieces", "DescribeStream", "a1" + "7f6653747265616d644e616d65ff" + "7f606161ff", 200},
		{"a tag before it", "DescribeStream", "d9d9f7a1" + name, 200},
		{"long heads", "DescribeStream", "ba00000001" + "780a53747265616d4e616d65" + "79000161", 200},
		{"an integer of 8 bytes", "DescribeStream", "a2" + name + "654c696d69741b0000000000000064", 200},
		{"a half float", "DescribeStream", "a2" + name + "654c696d6974f93c00", 200},
		{"a float", "DescribeStream", "a2" + name + "654c696d6974fa42c80000", 200},
		{"a double", "DescribeStream", "a2" + name + "654c696d6974fb4059000000000000", 200},
		{"null and undefined", "DescribeStream", "a3" + name + "654c696d6974f6" + "6178f7", 200},
		{"a bignum is skipped", "DescribeStream", "a2" + name + "6178c249010000000000000000", 200},
		{"a list that is skipped", "DescribeStream", "a2" + name + "61789f0102a0ff", 200},
		{"limit 0", "DescribeStream", "a2" + name + "654c696d697400", 400},
		{"a negative limit", "DescribeStream", "a2" + name + "654c696d697420", 400},
		{"a text for a number", "DescribeStream", "a2" + name + "654c696d69746131", 400},
		{"bytes for text", "DescribeStream", "a1" + "6a53747265616d4e616d65" + "4161", 400},
		{"odd indefinite map", "DescribeStream", "bf" + "6a53747265616d4e616d65" + "ff", 400},
		{"an end too many", "DescribeStream", "a1" + name + "ff", 400},
		{"cut short", "DescribeStream", "a1" + "6a53747265616d4e616d65", 400},
		{"a length beyond the body", "DescribeStream", "bb7fffffffffffffff", 400},
		{"a text beyond the body", "DescribeStream", "a1" + "7bffffffffffffffff", 400},
		{"a reserved head", "DescribeStream", "a1" + "6178" + "1c", 400},
		{"text that is not UTF-8", "DescribeStream", "a1" + "6a53747265616d4e616d65" + "61ff", 400},
		{"pieces of another kind", "DescribeStream", "a1" + "7f4161ff" + "00", 400},
		{"an integer as a key", "DescribeStream", "a10102", 400},
		{"tags without end", "DescribeStream", strings.Repeat("c1", 200), 400},
		{"lists without end", "DescribeStream", "a16178" + strings.Repeat("81", 200), 400},
		{"a moment in milliseconds", "ListShards", "a2" + name + "7753747265616d4372656174696f6e54696d657374616d70" + "c11b0000018bcfe56800", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, err := hex.DecodeString(c.body)
			if err != nil {
				t.Fatal(err)
			}
			w := r.send(sent{target: c.op, contentType: cborType, body: string(body)})
			if w.Code != c.status {
				t.Errorf("got %d %q, want %d", w.Code, w.Body, c.status)
			}
		})
	}
}
