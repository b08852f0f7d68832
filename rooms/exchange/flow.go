package exchange

import (
	"context"
	"sync"
)

// How much is under way at once. Many small acts that wait for the disk together
// are joined into one commit; few large ones fill the memory that is allowed.
const (
	lanes  = 64
	afloat = 96 << 20 // bytes of resources
)

// flow runs acts beside each other, and never two with one key.
type flow struct {
	mu   sync.Mutex
	free sync.Cond
	busy map[string]bool
	size int64
}

func newFlow() *flow {
	f := &flow{busy: map[string]bool{}}
	f.free.L = &f.mu
	return f
}

// run waits for a lane and runs act in it. An act larger than all that may be
// afloat runs alone. It does not start an act when ctx has ended.
func (f *flow) run(ctx context.Context, key string, size int64, act func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.busy[key] || len(f.busy) == lanes || len(f.busy) > 0 && f.size+size > afloat {
		f.free.Wait() // an act ends soon after ctx does
	}
	if ctx.Err() != nil {
		return
	}
	f.busy[key] = true
	f.size += size
	go func() {
		defer f.leave(key, size)
		act()
	}()
}

func (f *flow) leave(key string, size int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.busy, key)
	f.size -= size
	f.free.Signal()
}

// wait returns when all acts have ended.
func (f *flow) wait() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.busy) > 0 {
		f.free.Wait()
	}
}
