package point

import "slices"

// A small number takes one or two bytes; the caller sees to it that there are two. What is no
// small number is at least 1<<14.
func small(buf []byte, at int) (v uint32, next int) {
	v = uint32(buf[at])
	if v < 0x80 {
		return v, at + 1
	}
	return v&0x7f | uint32(buf[at+1])<<7, at + 2
}

const maxSmall = 1<<14 - 1

// plainSeries reads a series as most of them are, whose first point is numbered first: in small
// numbers, with nothing wrong. Of any other it reads nothing, and is false.
//
// What is known of the series before it is not looked at again: successive series mostly have the
// same metric and the same label names.
func (d *decoder) plainSeries(b *Batch, first, points int, sets *int) bool {
	buf, at := d.buf, d.at
	if len(buf)-at < 4 {
		return false
	}
	metric, at := small(buf, at)
	kind, at := small(buf, at)
	n := int(kind >> 3)
	run := Run{Metric: metric, Type: Type(kind & 7), labels: uint8(n), First: int32(first), label: uint32(len(b.labels) / 2)}
	if metric > maxSmall || int(metric) >= len(b.symbols) || b.symbols[metric].kind&mayBeMetric == 0 || !run.Type.Valid() || n > MaxLabels || len(buf)-at < 4*n+2 {
		return false
	}
	var names []uint32 // of the series before, and values
	if i := len(b.Runs) - 1; i >= 0 {
		names = b.labels[2*b.Runs[i].label:]
	}
	if cap(b.labels)-len(b.labels) < 2*n {
		b.labels = slices.Grow(b.labels, min(2*n*d.left, len(buf)-at)) // as if all had as many
	}
	labels := b.labels[len(b.labels) : len(b.labels)+2*n]
	h := hashHead(b.symbols[metric].hash, run.Type)
	for i := 0; i < len(labels); i += 2 {
		var name, value uint32
		name, at = small(buf, at)
		value, at = small(buf, at)
		if name|value > maxSmall || int(name) >= len(b.symbols) || int(value) >= len(b.symbols) {
			return false
		}
		labels[i], labels[i+1] = name, value
		// Nothing is known of a name behind one that is another than before.
		if i >= len(names) || names[i] != name {
			names = nil
			if b.symbols[name].kind&mayBeName == 0 || i > 0 && string(b.Symbol(labels[i-2])) >= string(b.Symbol(name)) {
				return false
			}
		}
		h = mix(mix(h, b.symbols[name].hash), b.symbols[value].hash)
	}
	count, at := small(buf, at)
	if count == 0 || count > maxSmall || int(count) > points-first {
		return false
	}
	run.Hash, run.N = finish(h), int32(count)
	if run.Type == Set {
		*sets += int(count)
	}
	b.labels = b.labels[:len(b.labels)+2*n]
	b.Runs = append(b.Runs, run)
	d.at = at
	return true
}
