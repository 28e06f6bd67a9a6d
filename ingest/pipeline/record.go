package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// maxKey bounds the partition key of a record that a pipeline writes, in bytes.
const maxKey = 256

// makeRecord makes a record for another stream. Without an expression for it, it is the
// event, or the element, itself.
func (m *Machine) makeRecord(o *output, env map[string]any, event any) {
	v := event
	if o.record != nil {
		var err error
		if v, err = o.record.run(&m.vm, env); err != nil {
			m.mishap(o.at+".record", err)
			return
		}
	}
	data, err := encode(v)
	if err == nil && len(data) > maxRecordBytes {
		err = fmt.Errorf("has %d bytes, at most %d are allowed", len(data), maxRecordBytes)
	}
	if err != nil {
		m.mishap(o.at+".record", err)
		return
	}
	key := string(m.in.Key)
	if o.key != nil {
		x, err := o.key.run(&m.vm, env)
		var text []byte
		if err == nil {
			text, err = m.label(x)
		}
		if err == nil && (len(text) == 0 || len(text) > maxKey) {
			err = fmt.Errorf("must have 1 to %d bytes, got %.80q", maxKey, text)
		}
		if err != nil {
			m.mishap(o.at+".key", err)
			return
		}
		key = string(text)
	}
	m.out.Records++
	m.out.Bytes += len(key) + len(data)
	m.sink.Record(o.stream, key, data)
}

// encode returns a value as JSON; a string is the record as it is.
func encode(v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return nil, errors.New("is null")
	case string:
		return []byte(v), nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("is nothing that JSON can hold: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
