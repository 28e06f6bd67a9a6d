package access

import (
	"sync"
	"time"
)

// An address may fail to sign in this often in a window; then it waits for the
// window's end.
const (
	failuresAllowed = 10
	failureWindow   = time.Minute
)

// maxAddresses bounds what is remembered. Past it the address whose window
// began first is forgotten: with 256 random bits a guess is hopeless anyway.
const maxAddresses = 4096

// failures counts failed sign-ins by address.
type failures struct {
	mu      sync.Mutex
	windows map[string]failureCount
}

type failureCount struct {
	began time.Time
	count int
}

// wait returns how long an address has to wait before it may try, 0 for not at
// all.
func (f *failures) wait(address string, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.windows[address]
	if left := failureWindow - now.Sub(w.began); w.count >= failuresAllowed && left > 0 {
		return left
	}
	return 0
}

// add notes one failure.
func (f *failures) add(address string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.windows[address]
	if now.Sub(w.began) >= failureWindow {
		w = failureCount{began: now}
	}
	w.count++
	if f.windows == nil {
		f.windows = map[string]failureCount{}
	}
	if _, known := f.windows[address]; !known && len(f.windows) >= maxAddresses {
		f.makeRoomLocked(now)
	}
	f.windows[address] = w
}

// makeRoomLocked forgets windows that are over, or else the oldest.
func (f *failures) makeRoomLocked(now time.Time) {
	var oldest string
	for address, w := range f.windows {
		if now.Sub(w.began) >= failureWindow {
			delete(f.windows, address)
		} else if o, ok := f.windows[oldest]; !ok || w.began.Before(o.began) {
			oldest = address
		}
	}
	if len(f.windows) >= maxAddresses {
		delete(f.windows, oldest)
	}
}
