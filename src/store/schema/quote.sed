# Each line becomes a C string literal of that line.
s/["\\]/\\&/g
s/^.*$/"&\\n"/
