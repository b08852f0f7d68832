package home

// Look asks the rooms once, as the job does.
var Look = (*Home).look

// Write is the job of the weekly letter.
func Write(h *Home, ctx context.Context) error { return h.write(ctx) }
