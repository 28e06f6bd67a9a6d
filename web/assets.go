package web

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed assets/dist
var dist embed.FS

// assets are the bundled files. Their names hold a hash of their content, so that a
// browser may keep them for ever. It never changes.
type assets struct {
	names map[string]string // from a name such as app.js to the hashed one
	files map[string]asset  // by hashed name
}

type asset struct {
	contentType string
	plain       []byte
	gzipped     []byte // nil where it would not be smaller
}

func loadAssets() (*assets, error) {
	a := &assets{names: map[string]string{}, files: map[string]asset{}}
	manifest, err := dist.ReadFile("assets/dist/manifest.json")
	if err != nil {
		return nil, fmt.Errorf("assets: %w", err)
	}
	if err := json.Unmarshal(manifest, &a.names); err != nil {
		return nil, fmt.Errorf("assets: manifest: %w", err)
	}
	for _, name := range a.names {
		b, err := dist.ReadFile("assets/dist/" + name)
		if err != nil {
			return nil, fmt.Errorf("assets: %w", err)
		}
		f := asset{contentType: typeOf(name), plain: b}
		if zipped := gzipped(b); len(zipped) < len(b)*9/10 {
			f.gzipped = zipped
		}
		a.files[name] = f
	}
	return a, nil
}

func typeOf(name string) string {
	switch ext := path.Ext(name); ext {
	case ".woff2":
		return "font/woff2"
	case ".js":
		return "text/javascript; charset=utf-8"
	default:
		return mime.TypeByExtension(ext)
	}
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // the level is a valid one
	_, _ = z.Write(b)                                       // a bytes.Buffer takes everything
	_ = z.Close()
	return out.Bytes()
}

// url is the address of the asset that is called name, such as app.js.
func (a *assets) url(name string) string { return "/assets/" + a.names[name] }

func (s *server) asset(w http.ResponseWriter, r *http.Request) error {
	f, ok := s.assets.files[r.PathValue("name")]
	if !ok {
		return errNotFound
	}
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	body := f.plain
	if f.gzipped != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.gzipped
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = w.Write(body) // a browser that went away is no error of ours
	return nil
}
