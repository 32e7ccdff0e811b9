//! Who is present: the algebra of the official client (in the making).
