package bench

// Bodies returns posts of a fleet as they are sent: each body of the series at ms.
func Bodies(codec, kind string, series, batch int, whole bool, ms int64) (data [][]byte, sum float64, err error) {
	f := &fleet{metric: "m", kind: kind, series: series, batch: batch, codec: codec, whole: whole}
	if err := f.check(); err != nil {
		return nil, 0, err
	}
	b, err := f.body(1)
	if err != nil {
		return nil, 0, err
	}
	for n := range f.bodies() {
		b.stamp(ms, n*batch)
		data = append(data, append([]byte(nil), b.data...))
		sum += b.sum
	}
	return data, sum, nil
}

// What a viewer reads of a websocket, and how figures are made.
var (
	Frames    = frames
	Masked    = masked
	FrameID   = frameID
	LastValue = lastValue
	Quantile  = quantile
	Number    = number
)
