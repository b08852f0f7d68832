package home

// Look asks the rooms once, as the job does.
var Look = (*Home).look
