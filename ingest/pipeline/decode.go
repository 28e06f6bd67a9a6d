package pipeline

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"freshet/ingest/point"
)

// A decoder takes records apart into events, each a value as expressions have them. It
// belongs to one goroutine.
type decoder struct {
	format *Format
	json   jsonReader
	fields map[string]any // an event, used again
	batch  point.Batch
	view   point.View
}

// newDecoder reads only the wanted fields of objects, all if want is nil.
func newDecoder(f *Format, want map[string]string) *decoder {
	fields := map[string]any{}
	return &decoder{format: f, fields: fields, json: jsonReader{want: want, into: fields}}
}

// events calls yield with every event of a record; one is valid until the next. bad gets
// what cannot be decoded: the rest of the record, or one line of it.
func (d *decoder) events(data []byte, arrived int64, yield func(any), bad func(error)) {
	switch d.format.Kind {
	case "json":
		d.jsonValue(data, yield, bad)
	case "ndjson":
		lines(data, func(line []byte) { d.jsonLine(line, yield, bad) })
	case "csv":
		d.csv(data, yield, bad)
	case "logfmt":
		lines(data, func(line []byte) { d.logfmt(line, yield, bad) })
	case "text":
		lines(data, func(line []byte) { d.text(line, yield, bad) })
	case "raw":
		d.text(data, yield, bad)
	case "points":
		d.points(data, arrived, yield, bad)
	}
}

// lines calls f with every line that is not empty.
func lines(data []byte, f func([]byte)) {
	for len(data) > 0 {
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		data = rest
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(bytes.TrimSpace(line)) > 0 {
			f(line)
		}
	}
}

// jsonValue reads a record that is one value; of an array every element is an event.
func (d *decoder) jsonValue(data []byte, yield func(any), bad func(error)) {
	r := &d.json
	r.b, r.i = data, 0
	if r.space() != '[' {
		d.jsonLine(data, yield, bad)
		return
	}
	r.i++
	more := r.space() != ']'
	if !more {
		r.i++
	}
	for more {
		v, err := r.outermost()
		if err == nil {
			yield(v)
			more, err = r.comma()
		}
		if err != nil {
			bad(err)
			return
		}
	}
	if err := r.end(); err != nil {
		bad(err)
	}
}

// jsonLine reads a text that is one value.
func (d *decoder) jsonLine(line []byte, yield func(any), bad func(error)) {
	r := &d.json
	r.b, r.i = line, 0
	v, err := r.outermost()
	if err == nil {
		err = r.end()
	}
	if err != nil {
		bad(err)
		return
	}
	yield(v)
}

// csv reads lines of values; all of them are strings.
func (d *decoder) csv(data []byte, yield func(any), bad func(error)) {
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma, r.ReuseRecord, r.FieldsPerRecord, r.LazyQuotes = d.format.Delimiter, true, -1, false
	columns := d.format.Columns
	if d.format.Header {
		head, err := r.Read()
		if err == io.EOF {
			return
		}
		if err != nil {
			bad(fmt.Errorf("no CSV: %w", err))
			return
		}
		if len(head) > MaxColumns {
			bad(fmt.Errorf("the first line names %d columns, at most %d are allowed", len(head), MaxColumns))
			return
		}
		columns = append([]string(nil), head...)
	}
	for {
		values, err := r.Read()
		if err == io.EOF {
			return
		}
		if err != nil {
			bad(fmt.Errorf("no CSV: %w", err))
			if parse := (*csv.ParseError)(nil); errors.As(err, &parse) && !errors.Is(err, csv.ErrQuote) {
				continue // only this line
			}
			return
		}
		if len(values) != len(columns) {
			line, _ := r.FieldPos(0)
			bad(fmt.Errorf("line %d has %d values, there are %d columns", line, len(values), len(columns)))
			continue
		}
		clear(d.fields)
		for i, name := range columns {
			if name != "" {
				d.fields[name] = strings.ToValidUTF8(values[i], "\ufffd")
			}
		}
		yield(d.fields)
	}
}

// logfmt reads a line of key=value; a key alone is true.
func (d *decoder) logfmt(line []byte, yield func(any), bad func(error)) {
	clear(d.fields)
	for rest := bytes.TrimSpace(line); len(rest) > 0; rest = bytes.TrimLeft(rest, " \t") {
		end := bytes.IndexAny(rest, "= \t")
		if end < 0 {
			end = len(rest)
		}
		key := string(bytes.ToValidUTF8(rest[:end], []byte("\ufffd")))
		if key == "" || strings.Contains(key, `"`) {
			bad(fmt.Errorf("no logfmt: a key is expected at %.20q", rest))
			return
		}
		rest = rest[end:]
		if len(rest) == 0 || rest[0] != '=' {
			d.fields[key] = true
			continue
		}
		rest = rest[1:]
		if len(rest) > 0 && rest[0] == '"' {
			r := jsonReader{b: rest}
			text, err := r.text()
			if err != nil {
				bad(fmt.Errorf("no logfmt: the value of %.40q: %w", key, err))
				return
			}
			d.fields[key], rest = string(text), rest[r.i:]
			continue
		}
		end = bytes.IndexAny(rest, " \t")
		if end < 0 {
			end = len(rest)
		}
		d.fields[key], rest = string(bytes.ToValidUTF8(rest[:end], []byte("\ufffd"))), rest[end:]
	}
	yield(d.fields)
}

// text yields a line, or a whole record, as the field text, and what a pattern finds in it.
func (d *decoder) text(line []byte, yield func(any), bad func(error)) {
	if !utf8.Valid(line) {
		line = bytes.ToValidUTF8(line, []byte("\ufffd"))
	}
	clear(d.fields)
	d.fields["text"] = string(line)
	if p := d.format.Pattern; p != nil {
		at := p.FindSubmatchIndex(line)
		if at == nil {
			bad(errors.New("the pattern does not match"))
			return
		}
		for i, name := range p.SubexpNames() {
			if name != "" && at[2*i] >= 0 {
				d.fields[name] = string(line[at[2*i]:at[2*i+1]])
			}
		}
	}
	yield(d.fields)
}

// points reads what the stream metrics holds.
func (d *decoder) points(data []byte, arrived int64, yield func(any), bad func(error)) {
	b := &d.batch
	if err := b.DecodeRecord(data, arrived); err != nil {
		bad(err)
		return
	}
	if n, first := b.Rejected(); n > 0 {
		bad(fmt.Errorf("%d points are left out, the first: %w", n, first))
	}
	for r := range b.Runs {
		run := &b.Runs[r]
		for i := int(run.First); i < int(run.First+run.N); i++ {
			b.View(r, i, &d.view)
			v := &d.view
			labels := make(map[string]any, len(v.Labels))
			for _, l := range v.Labels {
				labels[string(l.Name)] = string(l.Value)
			}
			clear(d.fields)
			d.fields["metric"], d.fields["type"], d.fields["labels"] = string(v.Metric), v.Type.String(), labels
			d.fields["ts"], d.fields["value"] = int(v.Time), v.Value
			if v.Type == point.Set {
				d.fields["value"] = string(v.Member)
			}
			yield(d.fields)
		}
	}
}
