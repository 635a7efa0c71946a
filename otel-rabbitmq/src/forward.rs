//! Methods that do no more than call lapin's of the same name.

/// For a type with a `raw` handle; the first argument is lapin's name for that.
macro_rules! forward {
    ($of:literal) => {};
    ($of:literal async fn $name:ident(&$this:ident $(, $argument:ident: $type:ty)* $(,)?) $(-> $output:ty)?; $($rest:tt)*) => {
        #[doc = concat!("As lapin's `", $of, "::", stringify!($name), "`.")]
        pub async fn $name(&$this $(, $argument: $type)*) $(-> $output)? {
            $this.raw.$name($($argument),*).await
        }
        forward!($of $($rest)*);
    };
    ($of:literal fn $name:ident($this:ident $(, $argument:ident: $type:ty)* $(,)?) $(-> $output:ty)?; $($rest:tt)*) => {
        #[doc = concat!("As lapin's `", $of, "::", stringify!($name), "`.")]
        pub fn $name($this $(, $argument: $type)*) $(-> $output)? {
            $this.raw.$name($($argument),*)
        }
        forward!($of $($rest)*);
    };
    ($of:literal fn $name:ident(&$this:ident $(, $argument:ident: $type:ty)* $(,)?) $(-> $output:ty)?; $($rest:tt)*) => {
        #[doc = concat!("As lapin's `", $of, "::", stringify!($name), "`.")]
        pub fn $name(&$this $(, $argument: $type)*) $(-> $output)? {
            $this.raw.$name($($argument),*)
        }
        forward!($of $($rest)*);
    };
    // What a builder answers is itself.
    ($of:literal set $name:ident [$($generics:tt)*] ($($argument:ident: $type:ty),*); $($rest:tt)*) => {
        #[doc = concat!("As lapin's `", $of, "::", stringify!($name), "`.")]
        pub fn $name<$($generics)*>(self $(, $argument: $type)*) -> Self {
            Self { raw: self.raw.$name($($argument),*), ..self }
        }
        forward!($of $($rest)*);
    };
}

/// The handle of lapin, one explicit call away.
macro_rules! leads_to_raw {
    ($type:ty, $raw:ty) => {
        impl $type {
            /// The handle of lapin. Nothing that is done with it is traced.
            pub fn raw(&self) -> &$raw {
                &self.raw
            }

            /// The handle of lapin, without the instrumentation.
            pub fn into_inner(self) -> $raw {
                self.raw
            }
        }
    };
}

pub(crate) use {forward, leads_to_raw};
