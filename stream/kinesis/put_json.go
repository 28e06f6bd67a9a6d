package kinesis

import (
	"bytes"
	"unicode/utf8"
	"unsafe"

	"freshet/stream"
)

const (
	// maxPutRecords bounds the records of a PutRecords.
	maxPutRecords = 500
	// maxPlainKey bounds the partition keys that the scanner is sure of, in bytes: a key has
	// at most as many characters.
	maxPlainKey = 256
)

// A putScanner reads the JSON body of a PutRecord or PutRecords in one pass into a batch,
// without an allocation a record. It takes only what the general decoder and the
// validation take, and gives up at anything else, be it wrong or only unusual: then they
// read the body again, and find the error if there is one. A fuzz test holds the two
// together.
type putScanner struct {
	body  []byte
	at    int
	batch *batch
	rules *putRules
}

// putRules are the constraints that need more than a look, and the table of base64.
type putRules struct {
	name, arn, id *rule
	base64        *base64Table
}

func newPutRules() *putRules {
	return &putRules{name: ruleOf("StreamName"), arn: ruleOf("StreamARN"), id: ruleOf("StreamId"), base64: newBase64Table()}
}

// plain says that a string satisfies a rule. It counts bytes where the rule counts
// characters, which are no more.
func (r *rule) plain(s string) bool {
	return s != "" && int64(len(s)) <= r.max && r.matches(s)
}

// scan fills an empty batch. The batch refers to the body.
func (b *batch) scan(body []byte, rules *putRules) bool {
	if cap(b.arena) < len(body) {
		b.arena = make([]byte, 0, len(body))
	}
	s := putScanner{body: body, batch: b, rules: rules}
	if b.single {
		b.puts = append(b.puts, put{group: unrouted})
	}
	if !s.request() {
		return false
	}
	s.space()
	return s.at == len(body)
}

// request reads the outer object.
func (s *putScanner) request() bool {
	b := s.batch
	if !s.eat('{') {
		return false
	}
	var seen putMembers
	for {
		name, ok := s.member()
		if !ok {
			return false
		}
		switch name {
		case "StreamName":
			ok = s.word(&b.target.name, s.rules.name)
		case "StreamARN":
			ok = s.word(&b.target.arn, s.rules.arn)
		case "StreamId":
			ok = s.word(&b.target.id, s.rules.id)
		case "Records":
			ok = !b.single && len(b.puts) == 0 && s.records()
		default:
			ok = b.single && s.putMember(name, &b.puts[0], &seen)
		}
		if !ok {
			return false
		}
		if !s.eat(',') {
			break
		}
	}
	return s.eat('}') && len(b.puts) > 0 && (seen.data || !b.single)
}

func (s *putScanner) records() bool {
	b := s.batch
	if !s.eat('[') {
		return false
	}
	for len(b.puts) < maxPutRecords {
		b.puts = append(b.puts, put{group: unrouted})
		if !s.record(&b.puts[len(b.puts)-1]) {
			return false
		}
		if !s.eat(',') {
			return s.eat(']')
		}
	}
	return false
}

// putMembers are those that a record was seen to have.
type putMembers struct{ data, key, hash bool }

func (s *putScanner) record(p *put) bool {
	if !s.eat('{') {
		return false
	}
	var seen putMembers
	for {
		name, ok := s.member()
		if !ok || !s.putMember(name, p, &seen) {
			return false
		}
		if !s.eat(',') {
			return s.eat('}') && seen.data
		}
	}
}

// putMember reads the value of a member of a record. A second one of the same name is
// unusual.
func (s *putScanner) putMember(name string, p *put, seen *putMembers) bool {
	switch name {
	case "Data":
		if seen.data {
			return false
		}
		seen.data = true
		return s.data(p) && len(p.data) <= stream.MaxRecordBytes
	case "PartitionKey":
		if seen.key {
			return false
		}
		seen.key = true
		text, ok := s.text()
		p.key, p.keyed = view(text), true
		return ok && len(text) > 0 && len(text) <= maxPlainKey
	case "ExplicitHashKey":
		if seen.hash {
			return false
		}
		seen.hash = true
		text, ok := s.text()
		if !ok {
			return false
		}
		var err error
		p.hash, err = stream.ParseHashKey(view(text))
		p.explicit = true
		return err == nil
	}
	return false
}

// word reads a name of the stream.
func (s *putScanner) word(into *string, r *rule) bool {
	text, ok := s.text()
	if !ok || *into != "" || !r.plain(view(text)) {
		return false
	}
	*into = view(text)
	return true
}

// data reads a blob into the arena. A backslash is no character of base64: only when
// decoding fails is there a reason to look for escapes.
func (s *putScanner) data(p *put) bool {
	at := s.at
	if !s.eat('"') {
		return false
	}
	n := bytes.IndexByte(s.body[s.at:], '"')
	if n < 0 {
		return false
	}
	text := s.body[s.at : s.at+n]
	s.at += n + 1
	ok := false
	if p.data, ok = s.batch.decodeBlob(text, s.rules.base64); ok {
		return true
	}
	if bytes.IndexByte(text, '\\') < 0 {
		return false
	}
	s.at = at
	if text, ok = s.quoted(); ok {
		p.data, ok = s.batch.decodeBlob(text, s.rules.base64)
	}
	return ok
}

// decodeBlob decodes base64 into the arena, which has room unless there were escapes.
func (b *batch) decodeBlob(text []byte, table *base64Table) ([]byte, bool) {
	most, start := len(text)/4*3, len(b.arena)
	if cap(b.arena)-start < most {
		data := make([]byte, most)
		n, ok := table.decode(data, text)
		return data[:n], ok
	}
	n, ok := table.decode(b.arena[start:start+most], text)
	b.arena = b.arena[:start+n]
	return b.arena[start : start+n : start+n], ok
}

// member reads the name of a member and the colon behind it.
func (s *putScanner) member() (string, bool) {
	if !s.eat('"') {
		return "", false
	}
	n := bytes.IndexByte(s.body[s.at:], '"')
	if n < 0 {
		return "", false
	}
	name := s.body[s.at : s.at+n] // one with an escape is not one of those that are known
	s.at += n + 1
	return view(name), s.eat(':')
}

// text reads a string that is UTF-8 without control characters.
func (s *putScanner) text() ([]byte, bool) {
	text, ok := s.quoted()
	if !ok {
		return nil, false
	}
	var all byte
	for _, c := range text {
		if c < ' ' {
			return nil, false
		}
		all |= c
	}
	return text, all < utf8.RuneSelf || utf8.Valid(text)
}

// quoted reads a string and leaves it to the caller to look at its characters. It is part
// of the body, or of the arena when it has escapes.
func (s *putScanner) quoted() ([]byte, bool) {
	if !s.eat('"') {
		return nil, false
	}
	rest := s.body[s.at:]
	n := bytes.IndexByte(rest, '"')
	if n < 0 {
		return nil, false
	}
	if bytes.IndexByte(rest[:n], '\\') < 0 {
		s.at += n + 1
		return rest[:n:n], true
	}
	b, start := s.batch, len(s.batch.arena)
	t := jsonTokens{body: s.body, at: s.at, scratch: b.arena[start:]}
	text, err := t.escaped()
	if err != nil {
		return nil, false
	}
	s.at = t.at
	if len(text) <= cap(b.arena)-start {
		b.arena = b.arena[:start+len(text)]
	}
	return text, true
}

func (s *putScanner) space() {
	for s.at < len(s.body) {
		switch s.body[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// eat reads a character behind spaces, if it is the wanted one.
func (s *putScanner) eat(c byte) bool {
	if s.at < len(s.body) && s.body[s.at] == c {
		s.at++
		return true
	}
	s.space()
	if s.at < len(s.body) && s.body[s.at] == c {
		s.at++
		return true
	}
	return false
}

// view is bytes as a string that shares them: it is valid as long as nobody writes to
// them, here until the request's body and the batch's arena are used for another.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
