package home

// Look asks the rooms once, as the job does.
var Look = (*Home).look

// Write is the job of the weekly letter.
var Write = (*Home).write
