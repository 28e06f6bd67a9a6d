package pipeline

import (
	"errors"
	"fmt"

	"github.com/expr-lang/expr/vm"

	"freshet/ingest/point"
)

// Input is a record that a program is run on.
type Input struct {
	Data     []byte
	Key      []byte // the partition key
	Arrived  int64  // epoch milliseconds: the time of points that say none, and that against which times are checked
	Stream   string
	Shard    string
	Sequence string
}

// A Sink takes what a program makes. It copies what it is given.
type Sink interface {
	// Point takes a point that may be stored.
	Point(v *point.View)
	// Record takes a record for another stream.
	Record(stream, key string, data []byte)
	// Mishap takes what did not become anything.
	Mishap(m Mishap)
}

// A Mishap is a record, an event of it or an output that failed.
type Mishap struct {
	Field  string // such as output[1].value, or decode
	Reason string
}

// Outcome counts what became of a record.
type Outcome struct {
	Events   int // that it was decoded into
	Filtered int // of those, that the pipeline's filter left out
	Points   int
	Records  int
	Mishaps  int
	Bytes    int // of the strings of points, and of records
}

// A Machine runs a program on one record after the other. It belongs to one goroutine.
type Machine struct {
	p       *Program
	decoder *decoder
	vm      vm.VM
	env     map[string]any // for events that are no objects, or that are used as a whole
	record  map[string]any

	// Of the record under way.
	in   *Input
	sink Sink
	out  Outcome
	over bool // it has made all that it may

	view point.View
	text []byte // what view aliases
}

// Machine returns a machine for the program.
func (p *Program) Machine() *Machine {
	return &Machine{p: p, decoder: newDecoder(&p.Definition.Format, p.want), env: map[string]any{}, record: map[string]any{}}
}

// Run makes of a record what the program says.
func (m *Machine) Run(in *Input, sink Sink) Outcome {
	m.in, m.sink, m.out, m.over = in, sink, Outcome{}, false
	if m.p.wantRecord {
		clear(m.record)
		m.record["key"], m.record["stream"], m.record["shard"] = string(in.Key), in.Stream, in.Shard
		m.record["sequence"], m.record["arrived"] = in.Sequence, int(in.Arrived)
	}
	m.decoder.events(in.Data, in.Arrived, m.event, func(err error) { m.mishap("decode", err) })
	m.in, m.sink = nil, nil
	return m.out
}

func (m *Machine) mishap(field string, err error) {
	m.out.Mishaps++
	m.sink.Mishap(Mishap{field, err.Error()})
}

var errTooMany = fmt.Errorf("the record makes more than %d points and records, or %d bytes of them, or is more than %d events; the rest of it is left out", MaxMade, MaxMadeBytes, MaxEvents)

// event makes the outputs of an event.
func (m *Machine) event(value any) {
	m.out.Events++
	if m.over {
		return
	}
	if m.out.Events > MaxEvents {
		m.over = true
		m.mishap("decode", errTooMany)
		return
	}
	env, object := value.(map[string]any)
	if !object || m.p.wantValue {
		clear(m.env)
		for name, v := range env {
			m.env[name] = v
		}
		env = m.env
		env[valueName] = value
	}
	if m.p.wantRecord {
		env[recordName] = m.record
	}
	if !m.lets(m.p.before, env) {
		return
	}
	if m.p.filter != nil {
		pass, err := m.test(m.p.filter, env)
		if err != nil {
			m.mishap("filter", err)
			return
		}
		if !pass {
			m.out.Filtered++
			return
		}
	}
	if !m.lets(m.p.after, env) {
		return
	}
	for i := range m.p.outputs {
		m.output(&m.p.outputs[i], env, value)
	}
}

// lets names values. It returns false when one of them fails.
func (m *Machine) lets(all []let, env map[string]any) bool {
	for i := range all {
		v, err := all[i].value.run(&m.vm, env)
		if err != nil {
			m.mishap("let."+all[i].name, err)
			return false
		}
		env[all[i].name] = v
	}
	return true
}

// test evaluates a filter; null is false.
func (m *Machine) test(e *expression, env map[string]any) (bool, error) {
	v, err := e.run(&m.vm, env)
	if err != nil || v == nil {
		return false, err
	}
	pass, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("must be true or false, got %s", describe(v))
	}
	return pass, nil
}

// output makes one output of an event, or one for each element.
func (m *Machine) output(o *output, env map[string]any, event any) {
	if o.each == nil {
		m.make(o, env, event)
		return
	}
	v, err := o.each.run(&m.vm, env)
	if err != nil {
		m.mishap(o.at+".each", err)
		return
	}
	list, ok := elements(v)
	if !ok {
		m.mishap(o.at+".each", fmt.Errorf("must be an array, got %s", describe(v)))
		return
	}
	item, hadItem := env[o.as]
	index, hadIndex := env[indexName]
	for i, v := range list {
		env[o.as], env[indexName] = v, i
		m.make(o, env, v)
	}
	restore(env, o.as, item, hadItem)
	restore(env, indexName, index, hadIndex)
}

// elements returns the elements of an array as expressions make them; null has none.
func elements(v any) (list []any, ok bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case []any:
		return v, true
	case []string:
		for _, s := range v {
			list = append(list, s)
		}
		return list, true
	case []int:
		for _, n := range v {
			list = append(list, n)
		}
		return list, true
	}
	return nil, false
}

func restore(env map[string]any, name string, v any, had bool) {
	if had {
		env[name] = v
	} else {
		delete(env, name)
	}
}

// make makes one point or record.
func (m *Machine) make(o *output, env map[string]any, event any) {
	if o.filter != nil {
		pass, err := m.test(o.filter, env)
		if err != nil {
			m.mishap(o.at+".filter", err)
		}
		if !pass {
			return
		}
	}
	if m.over {
		return
	}
	if m.out.Points+m.out.Records >= MaxMade || m.out.Bytes >= MaxMadeBytes {
		m.over = true
		m.mishap(o.at, errTooMany)
		return
	}
	if o.stream != "" {
		m.makeRecord(o, env, event)
		return
	}
	if field, err := m.makePoint(o, env); err != nil {
		var refused *point.Error
		if errors.As(err, &refused) {
			field, err = refused.Field, errors.New(refused.Reason)
		}
		m.mishap(o.at+"."+field, err)
		return
	}
	m.out.Points++
	m.out.Bytes += len(m.view.Metric) + len(m.view.Member)
	for _, l := range m.view.Labels {
		m.out.Bytes += len(l.Name) + len(l.Value)
	}
	m.sink.Point(&m.view)
}
