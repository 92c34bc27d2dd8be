"""One hop between two visors: stcp, stcpr, sudph, dmsg."""
