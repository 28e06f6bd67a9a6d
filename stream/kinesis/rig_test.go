package kinesis_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"freshet/stream"
	"freshet/stream/keyring"
	"freshet/stream/kinesis"
	"freshet/stream/kv"
	"freshet/stream/vfs"
)

// A rig is a service over a log and a store in memory, which run until it is stopped.
type rig struct {
	t       testing.TB
	fs      *vfs.Mem
	store   kv.Store
	log     *stream.Log
	service *kinesis.Service
	handler http.Handler

	end  func() // stops all of it, once
	done sync.WaitGroup
}

// object is a JSON object.
type object = map[string]any

// newRig opens what a file system and a store hold. The options may be changed first.
func newRig(t testing.TB, fs *vfs.Mem, store kv.Store, edits ...func(*kinesis.Options)) *rig {
	t.Helper()
	log, err := openLog(fs)
	if err != nil {
		t.Fatal(err)
	}
	o := kinesis.Options{Log: log, Store: store, AuthOff: true}
	for _, edit := range edits {
		edit(&o)
	}
	service, err := kinesis.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, fs: fs, store: store, log: log, service: service, handler: service.Handler()}
	ctx, end := context.WithCancel(context.Background())
	r.end = sync.OnceFunc(func() {
		end()
		r.done.Wait()
		log.Close()
	})
	t.Cleanup(r.end)
	r.done.Go(func() { log.Run(ctx) })
	r.done.Go(func() { service.Run(ctx) })
	return r
}

func openLog(fs *vfs.Mem) (*stream.Log, error) {
	keys, err := keyring.New([keyring.KeySize]byte{1})
	if err != nil {
		return nil, err
	}
	return stream.Open(stream.Options{Dir: "streams", FS: fs, SegmentBytes: 1 << 20, Keys: keys})
}

// stop ends the rig. What it has kept is in its file system and its store.
func (r *rig) stop() { r.end() }

// kill ends the rig as a crash of the process does, and returns what is on its disk.
func (r *rig) kill() *vfs.Mem {
	fs := r.fs.Kill()
	r.stop()
	return fs
}

// call makes a request and returns the status and the body of the answer.
func (r *rig) call(op string, in any) (int, object) {
	r.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		r.t.Fatal(err)
	}
	q := httptest.NewRequest(http.MethodPost, "http://localhost/", bytes.NewReader(body))
	now := time.Now().UTC()
	q.Header.Set("X-Amz-Target", "Kinesis_20131202."+op)
	q.Header.Set("Content-Type", "application/x-amz-json-1.1")
	q.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	q.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/"+now.Format("20060102")+"/us-east-1/kinesis/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature="+strings.Repeat("0", 64))
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, q)
	if w.Body.Len() == 0 {
		return w.Code, nil
	}
	var out object
	d := json.NewDecoder(w.Body)
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		r.t.Fatalf("%s: %v", op, err)
	}
	return w.Code, out
}

// ok makes a request that succeeds.
func (r *rig) ok(op string, in any) object {
	r.t.Helper()
	status, out := r.call(op, in)
	if status != http.StatusOK {
		r.t.Fatalf("%s %v: got %d %v", op, in, status, out)
	}
	return out
}

// refused makes a request that fails with an exception, whose message it wants whole, or
// its beginning where the wanted one ends with "…".
func (r *rig) refused(op string, in any, code, message string) {
	r.t.Helper()
	status, out := r.call(op, in)
	got := fmt.Sprint(out["message"])
	begin, cut := strings.CutSuffix(message, "…")
	if status != http.StatusBadRequest || out["__type"] != code || got != message && !(cut && strings.HasPrefix(got, begin)) {
		r.t.Errorf("%s %v:\n got %d %v: %s\nwant 400 %s: %s", op, in, status, out["__type"], got, code, message)
	}
}

// field digs into an answer: "StreamDescription.Shards".
func field(out object, path string) any {
	var at any = out
	for _, name := range strings.Split(path, ".") {
		o, _ := at.(object)
		at = o[name]
	}
	return at
}

// want compares what an answer prints like.
func want(t testing.TB, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// words prints values with a space between any two.
func words(values ...any) string { return strings.TrimSuffix(fmt.Sprintln(values...), "\n") }

func (r *rig) status(name string) string {
	r.t.Helper()
	status, out := r.call("DescribeStreamSummary", object{"StreamName": name})
	if status != http.StatusOK {
		return fmt.Sprint(out["__type"])
	}
	return fmt.Sprint(field(out, "StreamDescriptionSummary.StreamStatus"))
}

// settle waits until a stream is ACTIVE.
func (r *rig) settle(name string) {
	r.t.Helper()
	for range 1000 {
		if r.status(name) == "ACTIVE" {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	r.t.Fatalf("stream %s stays %s", name, r.status(name))
}

// create makes a provisioned stream and waits until it is ACTIVE.
func (r *rig) create(name string, shards int) {
	r.t.Helper()
	r.ok("CreateStream", object{"StreamName": name, "ShardCount": shards})
	r.settle(name)
}

func arnOf(name string) string { return "arn:aws:kinesis:us-east-1:000000000000:stream/" + name }

// errLost is what a store says that has lost its connection.
var errLost = errors.New("the store is lost")

// A brittleStore is lost at a Swap, which it may have done all the same.
type brittleStore struct {
	kv.Store
	mu   sync.Mutex
	left int  // swaps until it is lost
	done bool // the last one is done
}

func (b *brittleStore) Swap(ctx context.Context, key string, old kv.Revision, value []byte) (kv.Revision, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left--
	if b.left > 0 || b.left == 0 && b.done {
		rev, err := b.Store.Swap(ctx, key, old, value)
		if b.left > 0 || err != nil {
			return rev, err
		}
	}
	return 0, errLost
}

func (b *brittleStore) Get(ctx context.Context, key string) (kv.Entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left <= 0 {
		return kv.Entry{}, errLost
	}
	return b.Store.Get(ctx, key)
}
