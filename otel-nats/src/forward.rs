//! Methods that do no more than call async-nats's of the same name.

/// For a type with a `raw` handle; the first argument is async-nats's name for that.
macro_rules! forward {
    ($of:literal) => {};
    ($of:literal $(#[$meta:meta])* async fn $name:ident [$($generics:tt)*] (&$this:ident $(, $argument:ident: $type:ty)*) $(-> $output:ty)?; $($rest:tt)*) => {
        #[doc = concat!("As async-nats's `", $of, "::", stringify!($name), "`.")]
        $(#[$meta])*
        pub async fn $name<$($generics)*>(&$this $(, $argument: $type)*) $(-> $output)? {
            $this.raw.$name($($argument),*).await
        }
        forward!($of $($rest)*);
    };
    ($of:literal $(#[$meta:meta])* async fn $name:ident [$($generics:tt)*] (&mut $this:ident $(, $argument:ident: $type:ty)*) $(-> $output:ty)?; $($rest:tt)*) => {
        #[doc = concat!("As async-nats's `", $of, "::", stringify!($name), "`.")]
        $(#[$meta])*
        pub async fn $name<$($generics)*>(&mut $this $(, $argument: $type)*) $(-> $output)? {
            $this.raw.$name($($argument),*).await
        }
        forward!($of $($rest)*);
    };
    ($of:literal $(#[$meta:meta])* async fn $name:ident [$($generics:tt)*] ($this:ident $(, $argument:ident: $type:ty)*) $(-> $output:ty)?; $($rest:tt)*) => {
        #[doc = concat!("As async-nats's `", $of, "::", stringify!($name), "`.")]
        $(#[$meta])*
        pub async fn $name<$($generics)*>($this $(, $argument: $type)*) $(-> $output)? {
            $this.raw.$name($($argument),*).await
        }
        forward!($of $($rest)*);
    };
    ($of:literal $(#[$meta:meta])* fn $name:ident [$($generics:tt)*] (&$this:ident $(, $argument:ident: $type:ty)*) $(-> $output:ty)?; $($rest:tt)*) => {
        #[doc = concat!("As async-nats's `", $of, "::", stringify!($name), "`.")]
        $(#[$meta])*
        pub fn $name<$($generics)*>(&$this $(, $argument: $type)*) $(-> $output)? {
            $this.raw.$name($($argument),*)
        }
        forward!($of $($rest)*);
    };
    ($of:literal $(#[$meta:meta])* fn $name:ident [$($generics:tt)*] (&mut $this:ident $(, $argument:ident: $type:ty)*) $(-> $output:ty)?; $($rest:tt)*) => {
        #[doc = concat!("As async-nats's `", $of, "::", stringify!($name), "`.")]
        $(#[$meta])*
        pub fn $name<$($generics)*>(&mut $this $(, $argument: $type)*) $(-> $output)? {
            $this.raw.$name($($argument),*)
        }
        forward!($of $($rest)*);
    };
    // What it answers is made one of ours, by a method of the handle.
    ($of:literal $(#[$meta:meta])* async fn $name:ident [$($generics:tt)*] (&$this:ident $(, $argument:ident: $type:ty)*) -> $output:ty => $made:ident; $($rest:tt)*) => {
        #[doc = concat!("As async-nats's `", $of, "::", stringify!($name), "`.")]
        $(#[$meta])*
        pub async fn $name<$($generics)*>(&$this $(, $argument: $type)*) -> $output {
            Ok($this.$made($this.raw.$name($($argument),*).await?))
        }
        forward!($of $($rest)*);
    };
    // What a builder answers is itself.
    ($of:literal $(#[$meta:meta])* set $name:ident [$($generics:tt)*] ($($argument:ident: $type:ty),*); $($rest:tt)*) => {
        #[doc = concat!("As async-nats's `", $of, "::", stringify!($name), "`.")]
        $(#[$meta])*
        pub fn $name<$($generics)*>(self $(, $argument: $type)*) -> Self {
            Self { raw: self.raw.$name($($argument),*), ..self }
        }
        forward!($of $($rest)*);
    };
}

/// Shows a type as its name and the handle inside.
macro_rules! debug {
    ([$($generics:tt)*] $name:ident $type:ty, $field:ident) => {
        impl<$($generics)*> std::fmt::Debug for $type {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut shown = formatter.debug_struct(stringify!($name));
                shown.field(stringify!($field), &self.$field).finish_non_exhaustive()
            }
        }
    };
}

/// The handle of async-nats, one explicit call away.
macro_rules! leads_to_raw {
    ([$($generics:tt)*] $type:ty, $raw:ty) => {
        impl<$($generics)*> $type {
            /// The handle of async-nats. Nothing that is done with it is traced.
            pub fn raw(&self) -> &$raw {
                &self.raw
            }

            /// The handle of async-nats, without the instrumentation.
            pub fn into_inner(self) -> $raw {
                self.raw
            }
        }
    };
}

pub(crate) use {debug, forward, leads_to_raw};
