package pipeline

// ReadJSON reads a text that is one JSON value, with the reader of pipelines.
func ReadJSON(text []byte) (any, error) {
	r := jsonReader{b: text, into: map[string]any{}}
	v, err := r.outermost()
	if err == nil {
		err = r.end()
	}
	return v, err
}
